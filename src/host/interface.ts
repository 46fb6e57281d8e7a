import { addAddress, listAddresses, removeAddress } from '../linux/address.ts'
import { addMacvlan, addVeth, addVxlan, findLink, linkByName, removeLink, setLink } from '../linux/link.ts'
import { type NetlinkSocket, openNetlink, type Request } from '../linux/netlink-socket.ts'
import { namespaceInode, openNamespace } from '../linux/netns.ts'
import { keepwardProtocol } from '../linux/address.ts'
import { KeepwardError } from '../base/error.ts'
import type { InterfaceSpec, RouterSpec } from '../router/spec.ts'
import { markOf, outerName } from './mark.ts'
import { settleInterface } from './settings.ts'

/** Make the interface if it is not there, and set what differs; an `existing` one must be there. */
export function ensureInterface(spec: RouterSpec, name: string, agent: string, host: NetlinkSocket): void {
  const wanted = declared(spec, name)
  using namespace = openNamespace(spec.namespace)
  using socket = openNetlink(namespace.fd)
  if (findLink(socket, name) === undefined) create(spec, wanted, agent, host, namespace.fd)
  const link = linkByName(socket, name)
  settleInterface(spec, wanted, namespace.fd)
  const mark = wanted.attach.kind === 'existing' ? {} : { alias: markOf(agent, spec.id) }
  const mtu = wanted.mtu !== undefined && wanted.mtu !== link.mtu ? { mtu: wanted.mtu } : {}
  const mac =
    wanted.macAddress !== undefined && wanted.macAddress !== link.macAddress ? { macAddress: wanted.macAddress } : {}
  socket.apply([setLink(link.ifindex, { ...mark, ...mtu, ...mac }), ...addressChanges(socket, wanted, link.ifindex)])
  // Up comes last: keepalived may start on a link with carrier, and by then its addresses are there.
  if (wanted.attach.kind !== 'existing') socket.apply([setLink(link.ifindex, { up: true })])
}

/** Remove an interface that bears our mark; anything else is refused. */
export function removeInterface(spec: RouterSpec, name: string, agent: string): void {
  using namespace = openNamespace(spec.namespace)
  using socket = openNetlink(namespace.fd)
  const link = findLink(socket, name)
  if (link === undefined) return
  if (link.alias !== markOf(agent, spec.id)) {
    throw new KeepwardError('permission-denied', `Interface ${name} in ${spec.namespace} does not bear our mark`, {
      hint: `its alias must be ${markOf(agent, spec.id)}; remove it by hand if nobody needs it`,
    })
  }
  socket.apply([removeLink(link.ifindex)])
}

/** The interfaces that hang somewhere else than wanted; those that are not there hang nowhere. */
export function misattached(spec: RouterSpec, agent: string, host: NetlinkSocket): string[] {
  if (namespaceInode(spec.namespace) === undefined) return []
  using namespace = openNamespace(spec.namespace)
  using socket = openNetlink(namespace.fd)
  return spec.interfaces.flatMap(({ name, attach }) => {
    const link = attach.kind === 'existing' ? undefined : findLink(socket, name)
    if (link === undefined || attach.kind === 'existing') return []
    if (attach.kind !== 'bridge') return link.kind === attach.kind ? [] : [name]
    const outer = findLink(host, outerName(agent, spec.id, name))
    const bridge = findLink(host, attach.bridge)
    const right = link.kind === 'veth' && outer !== undefined && bridge !== undefined && outer.master === bridge.ifindex
    // A bridge that is gone cannot be attached to: making the interface again would not help.
    return right || bridge === undefined ? [] : [name]
  })
}

function declared(spec: RouterSpec, name: string): InterfaceSpec {
  const wanted = spec.interfaces.find((one) => one.name === name)
  if (wanted !== undefined) return wanted
  throw new KeepwardError('interface-undeclared', `Router ${spec.id} declares no interface ${name}`)
}

function create(
  spec: RouterSpec,
  wanted: InterfaceSpec,
  agent: string,
  host: NetlinkSocket,
  namespaceFd: number,
): void {
  const { name, attach, mtu, macAddress } = wanted
  switch (attach.kind) {
    case 'existing':
      throw new KeepwardError('interface-missing', `Interface ${name} is not in namespace ${spec.namespace}`, {
        hint: 'the config says that somebody else makes it (attach: existing)',
      })
    case 'macvlan':
      host.apply([
        addMacvlan({ name, mtu, macAddress }, { parent: linkByName(host, attach.parent).ifindex, namespaceFd }),
      ])
      return
    case 'vxlan': {
      const { vni, remote, port } = attach
      const parent = linkByName(host, attach.parent).ifindex
      host.apply([addVxlan({ name, mtu, macAddress }, { parent, vni, remote, port, namespaceFd })])
      return
    }
    case 'bridge': {
      const outer = outerName(agent, spec.id, name)
      const master = linkByName(host, attach.bridge).ifindex
      // An outer end without its inner one cannot be: what bears the name is left from an interrupted removal.
      host.apply([removeLink(outer)])
      host.apply([
        addVeth({ outer: { name: outer, mtu, up: true, master }, inner: { name, mtu, macAddress }, namespaceFd }),
        setLink(outer, { alias: markOf(agent, spec.id) }),
      ])
    }
  }
}

/** Addresses of ours that are wanted no more go, wanted ones come; what others added stays. */
function addressChanges(socket: NetlinkSocket, wanted: InterfaceSpec, ifindex: number): Request[] {
  const held = listAddresses(socket).filter((address) => address.ifindex === ifindex)
  const same = (a: { address: string; prefixLength: number }, b: { address: string; prefixLength: number }) =>
    a.address === b.address && a.prefixLength === b.prefixLength
  return [
    ...held
      .filter((one) => one.protocol === keepwardProtocol && !wanted.addresses.some((address) => same(one, address)))
      .map((one) => removeAddress(ifindex, one)),
    ...wanted.addresses
      .filter((one) => !held.some((address) => same(one, address)))
      .map((one) => addAddress(ifindex, one)),
  ]
}
