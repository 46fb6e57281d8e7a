import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { keyIdOf, type PublicKey } from '../config/signature.ts'

/** The end of a journal's chain, as an agent hands it over. */
export interface AnchorPoint {
  /** Random id of the journal file, 32 hexadecimal digits. */
  readonly journal: string
  /** How often that file had been opened for writing. */
  readonly start: number
  readonly seq: number
  /** Of record `seq`. */
  readonly hash: string
}

/** Root's word that this was the end of the chain at that time. */
export interface Anchor extends AnchorPoint {
  readonly agent: string
  readonly wallMs: number
  readonly key: string
}

/**
 * One line of text, version 1: what is signed (Ed25519, RFC 8032) is all of it before the signature, the space included.
 *
 *     keepward-anchor 1 AGENT JOURNAL START SEQ HASH TIME KEY <base64 of 64 bytes>
 */
export function signAnchor(agent: string, point: AnchorPoint, wallMs: number, key: KeyObject): string {
  const { journal, start, seq, hash } = point
  const words = [agent, journal, start, seq, hash, new Date(wallMs).toISOString(), keyIdOf(createPublicKey(key))]
  const head = `keepward-anchor 1 ${words.join(' ')} `
  return head + sign(null, Buffer.from(head), key).toString('base64')
}

/** Undefined for a line that is no anchor; whether root has signed it is asked of {@link isSigned}. */
export function parseAnchor(line: string): Anchor | undefined {
  const [, agent, journal, start, seq, hash, time, key] = form.exec(line) ?? []
  if (agent === undefined || journal === undefined || hash === undefined || key === undefined) return undefined
  const wallMs = Date.parse(time ?? '')
  if (Number.isNaN(wallMs)) return undefined
  return { agent, journal, start: Number(start), seq: Number(seq), hash, wallMs, key }
}

export function isSigned(line: string, { key: id }: Anchor, keys: readonly PublicKey[]): boolean {
  const at = line.lastIndexOf(' ') + 1
  const key = keys.find((one) => one.id === id)
  return (
    key !== undefined && verify(null, Buffer.from(line.slice(0, at)), key.key, Buffer.from(line.slice(at), 'base64'))
  )
}

const form =
  /^keepward-anchor 1 ([A-Za-z0-9._-]{1,64}) ([0-9a-f]{32}) ([1-9][0-9]{0,14}) ([1-9][0-9]{0,14}) ([0-9a-f]{64}) ([0-9TZ:.-]{20,30}) ([0-9a-f]{16}) [A-Za-z0-9+/]{86}==$/

/** Names in the directory of anchors. */
export const anchorsFileOf = (journal: string): string => `${journal}${anchorsSuffix}`
export const anchorsSuffix = '.anchors'
export const publicKeysName = 'anchor.pub'
/** Some 300 bytes a line. */
export const maxAnchorsBytes = 32 * 1024 * 1024
