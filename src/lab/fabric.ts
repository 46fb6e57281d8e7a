import { addAddress } from '../linux/address.ts'
import { addBridge, addVeth, linkByName, setLink } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { createNamespace, openNamespace } from '../linux/netns.ts'
import { run } from '../linux/run.ts'
import {
  clientAddress,
  clientNamespace,
  fabricNamespace,
  gatewayOf,
  hostsOf,
  innerClientAddress,
  innerNamespace,
  type LabHost,
  type LabShape,
} from './topology.ts'

/** The links of a lab: `ha` carries the adverts, `ext` the clients, `int` those behind the routers. */
export type LabLink = 'ha' | 'ext' | 'int'

export const linksOf = ({ innerNetwork }: LabShape): readonly LabLink[] =>
  innerNetwork === true ? ['ha', 'ext', 'int'] : ['ha', 'ext']

/** Make the switch, the hosts and the clients as namespaces, joined by veth pairs. Nothing of the machine's own is touched. */
export async function buildFabric(shape: LabShape): Promise<void> {
  const { name } = shape
  const links = linksOf(shape)
  await createNamespace(fabricNamespace(name))
  inside(fabricNamespace(name), (socket) => socket.apply(links.map((link) => addBridge({ name: link, up: true }))))
  for (const host of hostsOf(shape)) await buildHost(name, host, links)
  await buildClient(name, clientNamespace(name), 'ext', clientAddress)
  if (shape.innerNetwork !== true) return
  const inner = innerNamespace(name)
  await buildClient(name, inner, 'int', innerClientAddress)
  for (const gateway of Object.values(gatewayOf(1)))
    await run(['ip', '-n', inner, 'route', 'add', 'default', 'via', gateway, 'dev', 'eth0'])
}

/** Take a host's port on the switch down or up: a cable pulled, which no keepalived is told of. */
export function setPort(name: string, host: string, link: LabLink, up: boolean): void {
  inside(fabricNamespace(name), (socket) => socket.apply([setLink(portName(link, host), { up })]))
}

async function buildClient(
  lab: string,
  namespace: string,
  link: LabLink,
  { v4, v6 }: { readonly v4: string; readonly v6: string },
): Promise<void> {
  await createNamespace(namespace)
  plug(lab, namespace, link, 'client', 'eth0')
  inside(namespace, (socket) => {
    const { ifindex } = linkByName(socket, 'eth0')
    socket.apply([
      setLink('lo', { up: true }),
      addAddress(ifindex, { family: 4, address: v4, prefixLength: 24 }),
      addAddress(ifindex, { family: 6, address: v6, prefixLength: 64 }),
    ])
  })
}

async function buildHost(name: string, host: LabHost, links: readonly LabLink[]): Promise<void> {
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
