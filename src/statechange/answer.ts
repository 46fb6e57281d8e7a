import type { ServerResponse } from 'node:http'
import type { Answer } from './receiver.ts'
import { problemText, refusals, type RefusalCode } from './refusal.ts'

/** A wrong or forbidden request ends its connection; one that may be repeated does not. */
const ending = new Set([400, 403, 413, 431])
const takenHeaders = ['Content-Length', '0']

export function reply(response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return
  if (answer === 'taken') {
    response.writeHead(200, takenHeaders)
    response.end()
    return
  }
  const { status } = refusals[answer]
  const text = problemText(answer)
  response.writeHead(status, [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(text.length),
    ...(status === 429 || status === 503 ? ['Retry-After', '1'] : []),
    ...(ending.has(status) ? ['Connection', 'close'] : []),
  ])
  response.end(text)
}

/** A refusal as bytes, for where there is no response to write to. */
export function rawRefusal(code: RefusalCode): string {
  const { status } = refusals[code]
  const text = problemText(code)
  const head = [
    `HTTP/1.1 ${status} ${status === 431 ? 'Request Header Fields Too Large' : 'Bad Request'}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${text.length}`,
    'Connection: close',
  ]
  return `${head.join('\r\n')}\r\n\r\n${text}`
}
