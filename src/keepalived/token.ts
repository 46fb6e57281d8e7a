import { canonicalAddress, parsePrefix } from '../base/address.ts'
import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'

/*
 * The words that may enter keepalived.conf, each by an allow-list. keepalived.conf is a language that starts programs;
 * quotes, braces, blanks, line ends, `$`, `@`, `!`, `#`, `~` and `\` all mean something in it and appear in none.
 */

/** A router id or an interface name. */
export function nameToken(what: string, text: string): string {
  return allowed(what, text, /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
}

/** An absolute path without `.` and `..`. */
export function pathToken(what: string, text: string): string {
  return allowed(what, text, /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._+-]{1,255}){1,64}$/)
}

/** An address as {@link canonicalAddress} writes it. */
export function addressToken(what: string, text: string): string {
  return canonicalAddress(text) === text ? text : refuse(what)
}

/** An address with its prefix length, written canonically. */
export function prefixToken(what: string, text: string): string {
  const prefix = parsePrefix(text)
  return prefix !== undefined && text.startsWith(`${prefix.address}/`) ? text : refuse(what)
}

export function integerToken(what: string, value: number, least: number, most: number): number {
  return Number.isInteger(value) && value >= least && value <= most ? value : refuse(what)
}

/** Whole milliseconds as decimal seconds: 100 is `0.1`, 2000 is `2`. */
export function secondsToken(what: string, ms: number): string {
  return String(integerToken(what, ms, 0, 4_000_000) / 1000)
}

/** VRRPv2 simple password, 1 to 8 bytes. The error does not repeat it. */
export function passwordToken(password: Secret): string {
  return allowed('password', password.revealText(), /^[A-Za-z0-9._+:=,/-]{1,8}$/)
}

function allowed(what: string, text: string, form: RegExp): string {
  return form.test(text) ? text : refuse(what)
}

/** Does not repeat what it refuses, which may be a secret or made to forge a log line. */
function refuse(what: string): never {
  throw new KeepwardError(
    'config-invalid',
    `Cannot render the keepalived config: the ${what} holds what may not be in it`,
  )
}
