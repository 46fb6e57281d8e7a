import { describe, expect, test } from 'vitest'
import { addAddress, removeAddress } from './address.ts'
import { addMacvlan, addVeth, addVxlan, removeLink, setLink, withoutLinkLocal } from './link.ts'
import { decodeMessages, encodeMessage } from './netlink.ts'
import type { Request } from './netlink-socket.ts'
import { addressDump, linkDump, namespaceIdPayload, readAddress, readLink, readNamespaceId } from './rtnetlink.ts'

/** Bytes of the kernel's own headers (linux/if_link.h, if_addr.h), written out. */
const wire = (request: Request) =>
  encodeMessage(request.type, request.flags ?? 0, 0, request.payload)
    .toString('hex')
    .slice(32)
const hex = (payload: readonly Buffer[]) => Buffer.concat(payload).toString('hex')
const joined = (...parts: string[]) => parts.join('').replaceAll(' ', '')

const v4 = { family: 4, address: '10.0.0.1', prefixLength: 24 } as const
const v6 = { family: 6, address: '2001:db8::1', prefixLength: 64 } as const

describe('requests', () => {
  test('addAddress() marks the address as ours', () => {
    const expected = joined('02180000 03000000', '0800 0200 0a000001', '0800 0100 0a000001', '0500 0b00 98000000')
    expect(wire(addAddress(3, v4))).toBe(expected)
  })

  test('addAddress() leaves duplicate address detection out when the address is IPv6', () => {
    const address = '20010db8000000000000000000000001'
    const expected = [
      '0a400000 03000000',
      `1400 0200 ${address}`,
      `1400 0100 ${address}`,
      '0500 0b00 98000000',
      '0800 0800 02000000',
    ]
    expect(wire(addAddress(3, v6))).toBe(joined(...expected))
  })

  test('removeAddress() names the address and its link', () => {
    expect(wire(removeAddress(3, v4))).toBe(joined('02180000 03000000', '0800 0200 0a000001', '0800 0100 0a000001'))
  })

  test('setLink() changes only what is asked', () => {
    const alias = '1200 1400 6b656570776172643a613a7231 00 0000'
    expect(wire(setLink('ha0', { up: true, alias: 'keepward:a:r1' }))).toBe(
      joined('00000000 00000000 01000000 01000000', '0800 0300 68613000', alias),
    )
    expect(wire(setLink(4, { up: false }))).toBe(joined('00000000 04000000 00000000 01000000'))
    expect(wire(withoutLinkLocal(4))).toBe(
      joined('00000000 04000000 00000000 00000000', '1000 1a00', '0c00 0a00', '0500 0800 01000000'),
    )
  })

  test('removeLink() takes a name or an index', () => {
    expect(wire(removeLink(4))).toBe(joined('00000000 04000000 00000000 00000000'))
    expect(wire(removeLink('ha0'))).toBe(joined('00000000 00000000 00000000 00000000', '0800 0300 68613000'))
  })

  test('addVeth() puts the inner end into the namespace', () => {
    const inner = joined(
      '00000000 00000000 00000000 00000000',
      '0800 0300 68613000',
      '0800 0400 78050000',
      '0a00 0100 020000000001 0000',
      '0800 1c00 0c000000',
    )
    const kind = joined('4800 1200', '0800 0100 76657468', '3c00 0200', '3800 0100', inner)
    const request = addVeth({
      outer: { name: 'kw0', up: true, master: 9 },
      inner: { name: 'ha0', mtu: 1400, macAddress: '02:00:00:00:00:01' },
      namespaceFd: 12,
    })
    expect(wire(request)).toBe(
      joined('00000000 00000000 01000000 01000000', '0800 0300 6b773000', '0800 0a00 09000000', kind),
    )
  })

  test('addMacvlan() uses bridge mode', () => {
    expect(wire(addMacvlan({ name: 'mv0' }, { parent: 2, namespaceFd: 12 }))).toBe(
      joined(
        '00000000 00000000 00000000 00000000',
        '0800 0300 6d763000',
        '0800 0500 02000000',
        '0800 1c00 0c000000',
        '1c00 1200 0b00 0100 6d6163766c616e 00',
        '0c00 0200 0800 0100 04000000',
      ),
    )
  })

  test('addVxlan() writes the port in network order', () => {
    const options = { parent: 2, namespaceFd: 12, vni: 77, remote: '239.1.1.1', port: 4789 }
    expect(wire(addVxlan({ name: 'vx0' }, options))).toBe(
      joined(
        '00000000 00000000 00000000 00000000',
        '0800 0300 76783000',
        '0800 1c00 0c000000',
        '3400 1200 0900 0100 76786c616e 000000',
        '2400 0200 0800 0100 4d000000 0800 0200 ef010101 0800 0300 02000000 0600 0f00 12b50000',
      ),
    )
  })

  test.each(['', '../x', 'a b', 'ha0\n', '-x', 'sixteen-chars-xx'])('removeLink() refuses the name %j', (name) => {
    expect(() => removeLink(name)).toThrow('is no interface name')
  })

  test('dumps of another namespace name it by its id', () => {
    expect(hex(addressDump(5))).toBe(joined('00000000 00000000', '0800 0a00 05000000'))
    expect(hex(linkDump(5))).toBe(
      joined('00000000 00000000 00000000 00000000', '0800 1d00 08000000', '0800 2e00 05000000'),
    )
    expect(hex(namespaceIdPayload(7, -1))).toBe(joined('00000000', '0800 0300 07000000', '0800 0100 ffffffff'))
  })
})

describe('notifications', () => {
  const message = (type: string, payload: string) => {
    const body = payload.replaceAll(' ', '')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(16 + body.length / 2)
    const [found] = decodeMessages(Buffer.from(`${length.toString('hex')}${type}0000${'00'.repeat(8)}${body}`, 'hex'))
    if (found === undefined) throw new Error('malformed test')
    return found
  }

  test('readAddress() reads an IPv4 address as the kernel told it', () => {
    const told =
      '02188000 02000000 08000100 0a000001 08000200 0a000001 08000300 62723000 05000b00 98000000 08000800 80000000'
    expect(readAddress(message('1400', told))).toEqual({
      ...v4,
      ifindex: 2,
      tentative: false,
      duplicate: false,
      protocol: 152,
    })
  })

  test('readAddress() takes the local end when the address is point-to-point', () => {
    const told = '02208000 02000000 08000100 0a000002 08000200 0a000001'
    expect(readAddress(message('1400', told))?.address).toBe('10.0.0.1')
  })

  test('readAddress() tells tentative from duplicate', () => {
    const address = '14000100 20010db8000000000000000000000001'
    const told = (flags: string) => readAddress(message('1400', `0a40c000 02000000 ${address} 08000800 ${flags}`))
    expect(told('c0000000')).toMatchObject({ ...v6, tentative: true, duplicate: false })
    expect(told('c8000000')).toMatchObject({ ...v6, tentative: true, duplicate: true })
  })

  test.each([
    ['another family', '07180000 02000000 08000100 0a000001'],
    ['no address', '02180000 02000000'],
    ['an address of the wrong length', '02180000 02000000 06000100 0a000000'],
  ])('readAddress() is undefined when the message has %s', (_what, told) => {
    expect(readAddress(message('1400', told))).toBe(undefined)
  })

  test('readLink() reads a link as the kernel told it', () => {
    const told =
      '00000100 02000000 43100100 01000000 08000300 62723000 08000400 dc050000 08000a00 09000000' +
      '1200 1400 6b656570776172643a613a7231 00 0000 0a000100 020000000009 0000 1000 1200 0b00 0100 627269646765 00 00'
    expect(readLink(message('1000', told))).toEqual({
      ifindex: 2,
      name: 'br0',
      up: true,
      carrier: true,
      alias: 'keepward:a:r1',
      kind: 'bridge',
      master: 9,
      mtu: 1500,
      macAddress: '02:00:00:00:00:09',
    })
  })

  test.each([
    ['the lower layer carries and the link is not in operation yet', '03100100'],
    ['the link is in operation and the lower layer carries no more', '43100000'],
  ])('readLink() tells no carrier when %s', (_what, flags) => {
    expect(readLink(message('1000', `00000100 02000000 ${flags} 01000000 08000300 62723000`))?.carrier).toBe(false)
  })

  test('readLink() is undefined when a bridge speaks of its port', () => {
    expect(readLink(message('1100', '07000100 02000000 03100100 01000000 08000300 62723000'))).toBe(undefined)
  })

  test('readNamespaceId() reads the id', () => {
    expect(readNamespaceId(message('5900', '00000000 08000100 05000000'))).toBe(5)
    expect(readNamespaceId(message('5900', '00000000'))).toBe(undefined)
  })
})
