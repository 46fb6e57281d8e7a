import { describe, expect, test } from 'vitest'
import {
  attribute,
  decodeMessages,
  eachAttribute,
  encodeMessage,
  nested,
  readAcknowledgement,
  text,
  u16be,
  u32,
} from './netlink.ts'

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

describe('encoding', () => {
  test('encodeMessage() writes the 16-byte header of netlink(7) before the payload', () => {
    const message = encodeMessage(20, 0x605, 7, [bytes('0218000003000000')])
    expect(message.toString('hex')).toBe('18000000140005060700000000000000' + '0218000003000000')
  })

  test('attribute() pads to 4 bytes and leaves the padding out of the length', () => {
    expect(attribute(11, Uint8Array.of(152)).toString('hex')).toBe('05000b0098000000')
    expect(text(3, 'ha0').toString('hex')).toBe('0800030068613000')
    expect(text(3, 'br-ex').toString('hex')).toBe('0a00030062722d6578000000')
    expect(u32(8, 2).toString('hex')).toBe('0800080002000000')
    expect(u16be(15, 4789).toString('hex')).toBe('06000f0012b50000')
    expect(nested(18, [text(1, 'x')]).toString('hex')).toBe('0c001200' + '0600010078000000')
  })
})

describe('decoding', () => {
  test('decodeMessages() finds every message of a datagram', () => {
    const found = decodeMessages(
      bytes('14000000 1400 0200 05000000 00000000 aabbccdd  10000000 0300 0000 05000000 00000000'),
    )
    expect(found.map(({ type, flags, sequence, from, to }) => [type, flags, sequence, from, to])).toEqual([
      [20, 2, 5, 16, 20],
      [3, 0, 5, 36, 36],
    ])
  })

  test.each([
    ['is cut inside the header', '100000001400'],
    ['claims more than is there', '20000000 1400 0000 05000000 00000000'],
    ['claims less than its header', '08000000 1400 0000 05000000 00000000'],
  ])('decodeMessages() leaves a message out when it %s', (_when, hex) => {
    expect(decodeMessages(bytes(hex))).toEqual([])
  })

  test('eachAttribute() stops at a malformed attribute and masks the nested flag', () => {
    const seen: number[][] = []
    eachAttribute(bytes('0500 0b00 98000000  0800 1280 01000000  0300 0400'), 0, 20, (...found) => seen.push(found))
    expect(seen).toEqual([
      [11, 4, 5],
      [18, 12, 16],
    ])
  })
})

describe('readAcknowledgement()', () => {
  const acknowledgement = (hex: string) => {
    const [message] = decodeMessages(bytes(hex))
    if (message === undefined) throw new Error('no message')
    return readAcknowledgement(message)
  }

  test('is undefined for success', () => {
    expect(acknowledgement('24000000 0200 0001 01000000 52f402c4  00000000 38000000 1000 0506 01000000 00000000')).toBe(
      undefined,
    )
  })

  test('names the error', () => {
    expect(
      acknowledgement('24000000 0200 0001 01000000 52f402c4  efffffff 38000000 1000 0506 01000000 00000000'),
    ).toEqual({
      code: 'EEXIST',
      explanation: undefined,
    })
  })

  test("gives the kernel's explanation when it sent one", () => {
    const hex =
      '48000000 0200 0003 01000000 52f402c4 eaffffff 30000000 1300 0500 01000000 00000000' +
      '2100 0100 6d7475206c657373207468616e20646576696365206d696e696d756d 00000000'
    expect(acknowledgement(hex)).toEqual({ code: 'EINVAL', explanation: 'mtu less than device minimum' })
  })
})
