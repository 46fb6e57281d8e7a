import { getSystemErrorName } from 'node:util'

/**
 * The wire format of netlink (netlink(7)): messages of a 16-byte header and attributes of a 4-byte header, both padded
 * to 4 bytes, integers in the machine's order. Only little-endian machines are supported.
 */

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_DUMP = 0x300
export const NLM_F_CREATE = 0x400
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

const NLM_F_CAPPED = 0x100
const NLMSGERR_ATTR_MSG = 1
const headerBytes = 16
const typeMask = 0x3fff

/** One message found in a buffer: its payload is `bytes.subarray(from, to)`. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}

export function encodeMessage(type: number, flags: number, sequence: number, payload: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(headerBytes)
  const length = payload.reduce((sum, part) => sum + part.length, headerBytes)
  header.writeUInt32LE(length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt32LE(sequence, 8)
  return Buffer.concat([header, ...payload])
}

/** The messages of `bytes[from, to)`; a malformed tail is left out. */
export function decodeMessages(bytes: Buffer, from = 0, to = bytes.length): Message[] {
  const messages: Message[] = []
  let at = from
  while (at + headerBytes <= to) {
    const length = bytes.readUInt32LE(at)
    if (length < headerBytes || at + length > to) break
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      bytes,
      from: at + headerBytes,
      to: at + length,
    })
    at += align(length)
  }
  return messages
}

/** Calls `visit(type, from, to)` for each attribute of `bytes[from, to)`, without copying. */
export function eachAttribute(
  bytes: Buffer,
  from: number,
  to: number,
  visit: (type: number, from: number, to: number) => void,
): void {
  let at = from
  while (at + 4 <= to) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > to) return
    visit(bytes.readUInt16LE(at + 2) & typeMask, at + 4, at + length)
    at += align(length)
  }
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const length = 4 + value.length
  const encoded = Buffer.alloc(align(length))
  encoded.writeUInt16LE(length, 0)
  encoded.writeUInt16LE(type, 2)
  encoded.set(value, 4)
  return encoded
}

export const nested = (type: number, parts: readonly Buffer[]): Buffer => attribute(type, Buffer.concat(parts))

export const u8 = (type: number, value: number): Buffer => attribute(type, Uint8Array.of(value))

export function u16be(type: number, value: number): Buffer {
  return attribute(type, Uint8Array.of(value >> 8, value & 0xff))
}

export function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0, 0)
  return attribute(type, bytes)
}

/** A string with its terminating NUL, as the kernel's NLA_NUL_STRING policies ask. */
export const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`))

/** The text of a string attribute, with or without its NUL. */
export function readText(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('utf8', from, bytes[to - 1] === 0 ? to - 1 : to)
}

/** Code and, where the kernel gave one, explanation (NETLINK_EXT_ACK) of an acknowledgement; undefined for success. */
export function readAcknowledgement(message: Message): { code: string; explanation: string | undefined } | undefined {
  const errno = -message.bytes.readInt32LE(message.from)
  if (errno === 0) return undefined
  let explanation: string | undefined
  if (message.type === NLMSG_ERROR) {
    const original = message.flags & NLM_F_CAPPED ? headerBytes : align(message.bytes.readUInt32LE(message.from + 4))
    eachAttribute(message.bytes, message.from + 4 + original, message.to, (type, from, to) => {
      if (type === NLMSGERR_ATTR_MSG) explanation = readText(message.bytes, from, to)
    })
  }
  return { code: getSystemErrorName(-errno), explanation }
}

const align = (length: number): number => (length + 3) & ~3
