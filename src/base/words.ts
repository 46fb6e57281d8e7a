import { canonicalAddress, parsePrefix, type Prefix } from './address.ts'
import { KeepwardError } from './error.ts'

/** Words of a config on their way into a text for nft(8) or a service, each checked again. All throw `config-invalid`; `what` tells what the word is. */

export function addressWord(text: string, family: 4 | 6, what: string): string {
  return canonicalAddress(text) === text && text.includes(':') === (family === 6) ? text : refuse(what)
}

/** Of either family. */
export const anyAddress = (text: string, what: string): string => addressWord(text, text.includes(':') ? 6 : 4, what)

export function prefixWord({ address, prefixLength }: Prefix, what: string): string {
  const text = `${address}/${String(prefixLength)}`
  return parsePrefix(text)?.address === address ? text : refuse(what)
}

export function interfaceWord(text: string, what: string): string {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$/.test(text) ? text : refuse(what)
}

export function portWord(value: number, what: string): string {
  return Number.isInteger(value) && value >= 1 && value <= 65_535 ? String(value) : refuse(what)
}

export function ttlWord(value: number, what: string): string {
  return Number.isInteger(value) && value >= 1 && value <= 255 ? String(value) : refuse(what)
}

/** A router id, a network's id, an account. */
export function nameWord(text: string, what: string): string {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/.test(text) ? text : refuse(what)
}

/** RFC 1035, 2.3.1. */
export function domainWord(text: string, what: string): string {
  return text.length <= 253 && /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/.test(text) ? text : refuse(what)
}

/** An absolute path without `.` and `..`. */
export function pathWord(text: string, what: string): string {
  return /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._+-]{1,255}){1,64}$/.test(text) ? text : refuse(what)
}

export function numberWord(value: number, what: string): string {
  return Number.isSafeInteger(value) && value >= 0 ? String(value) : refuse(what)
}

/** Does not repeat what it refuses, which may be made to forge a log line. */
function refuse(what: string): never {
  throw new KeepwardError('config-invalid', `Cannot render the config: the ${what} holds what may not be in it`)
}
