import { describe, expect, it } from 'vitest'
import { addressBytes, addressFromBytes, canonicalAddress, parsePrefix } from './address.ts'

describe('addresses', () => {
  it.each([
    ['10.0.0.1', [10, 0, 0, 1]],
    ['::1', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['::', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['2001:db8::1:ffff', [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255]],
    ['fe80::', [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['1:2:3:4:5:6:7:8', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
  ])('addressBytes() and addressFromBytes() agree on %s', (text, bytes) => {
    expect([...addressBytes(text)]).toEqual(bytes)
    expect(addressFromBytes(Uint8Array.from(bytes))).toBe(text)
  })

  it.each([
    ['2001:DB8:0:0::0001', '2001:db8::1'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['fe80::1%eth0', undefined],
    ['10.0.0.256', undefined],
    ['010.0.0.1', undefined],
    ['', undefined],
  ])('canonicalAddress() of %s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical)
  })

  it.each([
    ['10.0.0.1/24', { family: 4, address: '10.0.0.1', prefixLength: 24 }],
    ['2001:DB8::1/64', { family: 6, address: '2001:db8::1', prefixLength: 64 }],
    ['10.0.0.1/33', undefined],
    ['10.0.0.1/024', undefined],
    ['10.0.0.1', undefined],
    ['10.0.0.1/', undefined],
    ['/24', undefined],
  ])('parsePrefix() of %s', (text, parsed) => {
    expect(parsePrefix(text)).toEqual(parsed)
  })
})
