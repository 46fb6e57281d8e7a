import { canonicalAddress, parsePrefix, type Prefix } from '../base/address.ts'
import { KeepwardError } from '../base/error.ts'

/** Words of a config on their way into a text for nft(8), each checked again. All throw `config-invalid`; `what` tells what the word is. */

export function addressWord(text: string, family: 4 | 6, what: string): string {
  return canonicalAddress(text) === text && text.includes(':') === (family === 6) ? text : refuse(what)
}

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

/** Does not repeat what it refuses, which may be made to forge a log line. */
function refuse(what: string): never {
  throw new KeepwardError('config-invalid', `Cannot render the packet filter: the ${what} holds what may not be in it`)
}
