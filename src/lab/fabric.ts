import { addAddress } from '../linux/address.ts'
import { addBridge, addVeth, linkByName, setLink } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { createNamespace, openNamespace } from '../linux/netns.ts'
import { clientAddress, clientNamespace, fabricNamespace, hostsOf, type LabHost, type LabShape } from './topology.ts'

/** The two links of the lab: `ha` carries the adverts, `ext` the clients. */
export type LabLink = 'ha' | 'ext'
const links: readonly LabLink[] = ['ha', 'ext']

/** Make the switch, the hosts and the client as namespaces, joined by veth pairs. Nothing of the machine's own is touched. */
export async function buildFabric(shape: LabShape): Promise<void> {
  const { name } = shape
  await createNamespace(fabricNamespace(name))
  await createNamespace(clientNamespace(name))
  inside(fabricNamespace(name), (socket) => socket.apply(links.map((link) => addBridge({ name: link, up: true }))))
  for (const host of hostsOf(shape)) await buildHost(name, host)
  plug(name, clientNamespace(name), 'ext', 'client', 'eth0')
  inside(clientNamespace(name), (socket) => {
    const { ifindex } = linkByName(socket, 'eth0')
    socket.apply([
      setLink('lo', { up: true }),
      addAddress(ifindex, { family: 4, address: clientAddress.v4, prefixLength: 24 }),
      addAddress(ifindex, { family: 6, address: clientAddress.v6, prefixLength: 64 }),
    ])
  })
}

/** Take a host's port on the switch down or up: a cable pulled, which no keepalived is told of. */
export function setPort(name: string, host: string, link: LabLink, up: boolean): void {
  inside(fabricNamespace(name), (socket) => socket.apply([setLink(portName(link, host), { up })]))
}

async function buildHost(name: string, host: LabHost): Promise<void> {
  await createNamespace(host.namespace)
  inside(host.namespace, (socket) => {
    socket.apply([setLink('lo', { up: true }), ...links.map((link) => addBridge({ name: `br-${link}`, up: true }))])
  })
  for (const link of links) {
    plug(name, host.namespace, link, host.name, `up-${link}`)
    inside(host.namespace, (socket) => {
      const master = linkByName(socket, `br-${link}`).ifindex
      socket.apply([setLink(`up-${link}`, { master })])
    })
  }
}

/** A veth pair: one end a port of the switch, the other in the namespace. */
function plug(lab: string, namespace: string, link: LabLink, host: string, inner: string): void {
  using target = openNamespace(namespace)
  inside(fabricNamespace(lab), (socket) => {
    const master = linkByName(socket, link).ifindex
    const outer = { name: portName(link, host), up: true, master }
    socket.apply([addVeth({ outer, inner: { name: inner }, namespaceFd: target.fd })])
  })
  inside(namespace, (socket) => socket.apply([setLink(inner, { up: true })]))
}

const portName = (link: LabLink, host: string): string => `${link}-${host}`

function inside<T>(name: string, work: (socket: ReturnType<typeof openNetlink>) => T): T {
  using namespace = openNamespace(name)
  using socket = openNetlink(namespace.fd)
  return work(socket)
}
