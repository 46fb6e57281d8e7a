import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { InterfaceAddress, Link } from './rtnetlink.ts'
import { emptyView, fold, type KernelEvent, linkNamed, type NamespaceView, sameView } from './namespace-view.ts'

const link = (ifindex: number, more: Partial<Link> = {}): Link => ({
  ifindex,
  name: `eth${ifindex}`,
  up: true,
  carrier: true,
  alias: undefined,
  kind: 'veth',
  master: undefined,
  mtu: 1500,
  macAddress: '02:00:00:00:00:01',
  ...more,
})

const address = (text: string, ifindex: number, more: Partial<InterfaceAddress> = {}): InterfaceAddress => ({
  family: 4,
  address: text,
  prefixLength: 24,
  ifindex,
  tentative: false,
  duplicate: false,
  protocol: 0,
  ...more,
})

const after = (...events: KernelEvent[]): NamespaceView => events.reduce(fold, emptyView)

describe('fold()', () => {
  test('keeps links in the order of their index', () => {
    const view = after(
      { type: 'link', link: link(3) },
      { type: 'link', link: link(1) },
      { type: 'link', link: link(2) },
    )
    expect(view.links.map(({ ifindex }) => ifindex)).toEqual([1, 2, 3])
    expect(linkNamed(view, 'eth2')?.ifindex).toBe(2)
  })

  test('returns the same view when nothing changed', () => {
    const view = after({ type: 'link', link: link(1) }, { type: 'address', address: address('10.0.0.1', 1) })
    expect(fold(view, { type: 'link', link: link(1) })).toBe(view)
    expect(fold(view, { type: 'address', address: address('10.0.0.1', 1) })).toBe(view)
    expect(fold(view, { type: 'address-gone', address: address('10.0.0.2', 1) })).toBe(view)
    expect(fold(view, { type: 'link-gone', ifindex: 7 })).toBe(view)
  })

  test('replaces what is known of a link or an address', () => {
    const view = after(
      { type: 'link', link: link(1) },
      { type: 'link', link: link(1, { carrier: false }) },
      { type: 'address', address: address('10.0.0.1', 1, { tentative: true }) },
      { type: 'address', address: address('10.0.0.1', 1) },
    )
    expect(view.links).toEqual([link(1, { carrier: false })])
    expect(view.addresses).toEqual([address('10.0.0.1', 1)])
  })

  test('takes the addresses of a link along when the link goes', () => {
    const view = after(
      { type: 'link', link: link(1) },
      { type: 'link', link: link(2) },
      { type: 'address', address: address('10.0.0.1', 1) },
      { type: 'address', address: address('10.0.0.1', 2) },
      { type: 'link-gone', ifindex: 1 },
    )
    expect(view).toEqual({ links: [link(2)], addresses: [address('10.0.0.1', 2)] })
  })

  test('tells the same address with another prefix length apart', () => {
    const wide = address('10.0.0.1', 1, { prefixLength: 8 })
    const both = after({ type: 'address', address: wide }, { type: 'address', address: address('10.0.0.1', 1) })
    expect(fold(both, { type: 'address-gone', address: wide }).addresses).toEqual([address('10.0.0.1', 1)])
  })
})

describe('any sequence of events', () => {
  const ifindex = fc.integer({ min: 1, max: 3 })
  const someAddress = fc
    .tuple(fc.constantFrom('10.0.0.1', '10.0.0.2'), ifindex, fc.boolean())
    .map(([text, index, tentative]) => address(text, index, { tentative }))
  const event: fc.Arbitrary<KernelEvent> = fc.oneof(
    fc.tuple(ifindex, fc.boolean()).map(([index, up]) => ({ type: 'link' as const, link: link(index, { up }) })),
    ifindex.map((index) => ({ type: 'link-gone' as const, ifindex: index })),
    someAddress.map((found) => ({ type: 'address' as const, address: found })),
    someAddress.map((found) => ({ type: 'address-gone' as const, address: found })),
  )

  test('leaves of each link and address what was said last', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const view = after(...events)
        expect(sameView(view, lastWord(events))).toBe(true)
      }),
    )
  })

  test('leads to the truth when it is replayed on a snapshot taken in its middle', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), fc.nat(30), fc.nat(30), (events, one, other) => {
        const [subscribed, snapshot] = [Math.min(one, other), Math.max(one, other)]
        const replayed = events.slice(subscribed).reduce(fold, after(...events.slice(0, snapshot)))
        expect(sameView(replayed, after(...events))).toBe(true)
      }),
    )
  })

  test('never changes a view that was handed out', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), event, (events, next) => {
        const view = after(...events)
        const copy = structuredClone(view)
        fold(view, next)
        expect(view).toEqual(copy)
      }),
    )
  })

  /** Another way to the same end: keyed maps, last writer wins. */
  function lastWord(events: readonly KernelEvent[]): NamespaceView {
    const links = new Map<number, Link>()
    const addresses = new Map<string, InterfaceAddress>()
    for (const next of events) {
      if (next.type === 'link') links.set(next.link.ifindex, next.link)
      if (next.type === 'address') addresses.set(`${next.address.ifindex} ${next.address.address}`, next.address)
      if (next.type === 'address-gone') addresses.delete(`${next.address.ifindex} ${next.address.address}`)
      if (next.type !== 'link-gone') continue
      links.delete(next.ifindex)
      for (const [key, { ifindex: index }] of addresses) if (index === next.ifindex) addresses.delete(key)
    }
    return {
      links: [...links.values()].sort((one, other) => one.ifindex - other.ifindex),
      addresses: [...addresses.values()],
    }
  }
})
