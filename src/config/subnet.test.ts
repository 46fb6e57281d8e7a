import { expect, test } from 'vitest'
import { parsePrefix, type Prefix } from '../base/address.ts'
import { contains, hostBitsAre, overlaps, unusableKind } from './subnet.ts'

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(`no prefix: ${text}`)
  return parsed
}

test.each([
  ['10.0.0.0/8', '10.255.255.255', true],
  ['10.0.0.0/8', '11.0.0.0', false],
  ['192.0.2.128/25', '192.0.2.127', false],
  ['192.0.2.129/25', '192.0.2.255', true],
  ['0.0.0.0/0', '255.255.255.255', true],
  ['0.0.0.0/0', '::1', false],
  ['192.0.2.1/32', '192.0.2.1', true],
  ['192.0.2.1/32', '192.0.2.0', false],
  ['2001:db8::/33', '2001:db8:7fff::1', true],
  ['2001:db8::/33', '2001:db8:8000::1', false],
])('contains(%s, %s) is %s', (subnet, address, expected) => {
  expect(contains(prefix(subnet), address)).toBe(expected)
})

test.each([
  ['169.254.192.1/18', '169.254.0.7/24', false],
  ['169.254.0.1/16', '169.254.0.7/24', true],
  ['10.0.0.1/24', 'fe80::1/64', false],
])('overlaps(%s, %s) is %s, either way round', (a, b, expected) => {
  expect(overlaps(prefix(a), prefix(b))).toBe(expected)
  expect(overlaps(prefix(b), prefix(a))).toBe(expected)
})

test.each([
  [0, '192.0.2.0/24', true],
  [0, '192.0.2.1/24', false],
  [1, '192.0.3.255/23', true],
  [1, '192.0.2.255/23', false],
  [0, '2001:db8::/64', true],
] as const)('hostBitsAre(%s, %s) is %s', (bit, text, expected) => {
  expect(hostBitsAre(bit, prefix(text))).toBe(expected)
})

test.each([
  ['0.0.0.0', 'the unspecified address'],
  ['0.1.2.3', 'an address of "this network"'],
  ['127.1.2.3', 'a loopback address'],
  ['239.1.1.1', 'a multicast address'],
  ['250.0.0.1', 'a reserved address'],
  ['255.255.255.255', 'the broadcast address'],
  ['::', 'the unspecified address'],
  ['::1', 'a loopback address'],
  ['ff02::12', 'a multicast address'],
  ['192.0.2.1', undefined],
  ['169.254.0.7', undefined],
  ['fe80::1', undefined],
])('unusableKind(%s) is %s', (address, expected) => {
  expect(unusableKind(address)).toBe(expected)
})
