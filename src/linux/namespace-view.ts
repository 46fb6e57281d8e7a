import type { Message } from './netlink.ts'
import {
  type InterfaceAddress,
  type Link,
  readAddress,
  readLink,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
} from './rtnetlink.ts'

/** What the kernel holds in one namespace, as far as we look; each change makes a new view, sharing what stayed. */
export interface NamespaceView {
  /** By interface index, ascending. */
  readonly links: readonly Link[]
  /** In the order the kernel told them. */
  readonly addresses: readonly InterfaceAddress[]
}

/** One thing the kernel said of a namespace. */
export type KernelEvent =
  | { readonly type: 'link'; readonly link: Link }
  | { readonly type: 'link-gone'; readonly ifindex: number }
  | { readonly type: 'address'; readonly address: InterfaceAddress }
  | { readonly type: 'address-gone'; readonly address: InterfaceAddress }

export const emptyView: NamespaceView = { links: [], addresses: [] }

/** The event in a message of an rtnetlink link or address group; undefined when it holds none for us. */
export function readEvent(message: Message): KernelEvent | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return linkEvent(message)
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return addressEvent(message)
    default:
      return undefined
  }
}

/** The view after an event; the same object when nothing changed. */
export function fold(view: NamespaceView, event: KernelEvent): NamespaceView {
  switch (event.type) {
    case 'link':
      return withLink(view, event.link)
    case 'link-gone':
      return withoutLink(view, event.ifindex)
    case 'address':
      return withAddress(view, event.address)
    case 'address-gone':
      return withoutAddress(view, event.address)
  }
}

/** Whether two views say the same, whatever the order of their addresses. */
export function sameView(one: NamespaceView, other: NamespaceView): boolean {
  if (one.links.length !== other.links.length || one.addresses.length !== other.addresses.length) return false
  return (
    one.links.every((link, at) => equal(link, other.links[at])) &&
    one.addresses.every((address) => other.addresses.some((candidate) => equal(address, candidate)))
  )
}

/** The link of that name, or undefined. */
export const linkNamed = (view: NamespaceView, name: string): Link | undefined =>
  view.links.find((link) => link.name === name)

function linkEvent(message: Message): KernelEvent | undefined {
  const link = readLink(message)
  if (link === undefined) return undefined
  return message.type === RTM_NEWLINK ? { type: 'link', link } : { type: 'link-gone', ifindex: link.ifindex }
}

function addressEvent(message: Message): KernelEvent | undefined {
  const address = readAddress(message)
  return address && { type: message.type === RTM_NEWADDR ? 'address' : 'address-gone', address }
}

function withLink(view: NamespaceView, link: Link): NamespaceView {
  const at = view.links.findIndex((known) => known.ifindex >= link.ifindex)
  const known = at < 0 ? undefined : view.links[at]
  if (known?.ifindex !== link.ifindex) {
    const links = view.links.toSpliced(at < 0 ? view.links.length : at, 0, link)
    return { ...view, links }
  }
  return equal(known, link) ? view : { ...view, links: view.links.with(at, link) }
}

/** Addresses go along even when the link is not known: a replay may tell of them after the snapshot missed both. */
function withoutLink(view: NamespaceView, ifindex: number): NamespaceView {
  const links = view.links.filter((link) => link.ifindex !== ifindex)
  const addresses = view.addresses.filter((address) => address.ifindex !== ifindex)
  const unchanged = links.length === view.links.length && addresses.length === view.addresses.length
  return unchanged ? view : { links, addresses }
}

function withAddress(view: NamespaceView, address: InterfaceAddress): NamespaceView {
  const at = view.addresses.findIndex((known) => sameKey(known, address))
  if (at < 0) return { ...view, addresses: [...view.addresses, address] }
  return equal(view.addresses[at], address) ? view : { ...view, addresses: view.addresses.with(at, address) }
}

function withoutAddress(view: NamespaceView, address: InterfaceAddress): NamespaceView {
  const at = view.addresses.findIndex((known) => sameKey(known, address))
  return at < 0 ? view : { ...view, addresses: view.addresses.toSpliced(at, 1) }
}

/** The kernel lets one IPv4 address stand twice on a link with different prefix lengths. */
function sameKey(one: InterfaceAddress, other: InterfaceAddress): boolean {
  return one.ifindex === other.ifindex && one.address === other.address && one.prefixLength === other.prefixLength
}

function equal<T extends object>(one: T | undefined, other: T | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  for (const key in one) if (one[key] !== other[key]) return false
  return true
}
