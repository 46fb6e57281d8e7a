/**
 * Every way to refuse a request, with its HTTP status and the sentence that the sender gets (docs/refusals.md is made from
 * this). A code, once released, keeps its meaning.
 */
export const refusals = {
  'request-malformed': { status: 400, title: 'This is no HTTP/1.1 request that can be read.' },
  'method-unsupported': { status: 400, title: 'The method must be GET or POST.' },
  'header-missing': { status: 400, title: 'X-Neutron-Router-Id and X-Neutron-State are needed.' },
  'header-repeated': { status: 400, title: 'A header is there more than once.' },
  'header-malformed': { status: 400, title: 'A header has characters other than printable ASCII.' },
  'router-malformed': {
    status: 400,
    title: 'X-Neutron-Router-Id must be 1 to 64 letters, digits, ".", "_" or "-", starting with a letter or digit.',
  },
  'state-malformed': { status: 400, title: 'X-Neutron-State must be primary, master, backup, fault or unknown.' },
  'proof-malformed': {
    status: 400,
    title: 'The X-Keepward headers must all be there: sequence, boot, time, key and signature, each of its form.',
  },
  'sender-refused': { status: 403, title: 'This sender may not say that of this router.' },
  'signature-wrong': { status: 403, title: 'The signature is not that of this message under this key.' },
  'boot-differs': { status: 403, title: 'The message was made in another boot of this host.' },
  'clock-skewed': { status: 403, title: 'The time of the message is too far from the clock of this host.' },
  'router-unknown': { status: 404, title: 'No router of that id is known here.' },
  superseded: { status: 409, title: 'The same or a newer message of this router was taken before.' },
  'body-too-large': { status: 413, title: 'The body may hold at most 1024 bytes.' },
  'rate-exceeded': { status: 429, title: 'Too many messages; try again after the time that Retry-After says.' },
  'header-too-large': { status: 431, title: 'The header block may hold at most 4096 bytes.' },
  'journal-unavailable': { status: 503, title: 'The message cannot be made durable now; try again.' },
} as const

export type RefusalCode = keyof typeof refusals

/** Problem details (RFC 9457) of a refusal; nothing of the inside is in it, nor of what the sender sent. */
export function problemText(code: RefusalCode): string {
  const { status, title } = refusals[code]
  return JSON.stringify({ type: 'about:blank', title, status, code })
}
