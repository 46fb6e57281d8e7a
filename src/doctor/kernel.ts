import { existsSync, readFileSync, statSync } from 'node:fs'
import { describeError, errnoOf } from '../base/error.ts'
import type { Prefix } from '../base/address.ts'
import { addAddress, keepwardProtocol, listAddresses } from '../linux/address.ts'
import { addBridge, addMacvlan, addVxlan, linkByName } from '../linux/link.ts'
import { native } from '../linux/native.ts'
import { openNetlink, type NetlinkSocket } from '../linux/netlink-socket.ts'
import { namespaceDirectory } from '../linux/netns.ts'
import { openProcess } from '../linux/process.ts'
import { applyRuleset, openNftables } from '../linux/nftables.ts'
import { readSysctl } from '../linux/sysctl.ts'
import { takeSnapshot } from '../linux/snapshot.ts'
import { openWatchSocket, watchKernel } from '../linux/watch.ts'
import { failed, ok, unknown, warning, within, type Answer, type Check } from './check.ts'
import type { Scratch } from './scratch.ts'
import type { Subject } from './subject.ts'

/** What the kernel can do: tried, never concluded from its version. */
export const kernelChecks: readonly Check[] = [
  {
    name: 'native addon',
    wanted: 'loads',
    look: () => {
      native()
      return ok('loads')
    },
  },
  { name: 'namespaces', wanted: 'can be made', needs: 'root', look: namespaces },
  { name: 'namespaces seen', wanted: 'other processes see those made here', needs: 'scratch', look: namespacesSeen },
  { name: 'kernel watch', wanted: 'one socket hears every namespace', needs: 'scratch', look: kernelWatch },
  { name: 'veth', wanted: 'can be made', needs: 'scratch', look: veth },
  { name: 'bridge', wanted: 'can be made', needs: 'scratch', look: bridge },
  { name: 'macvlan', wanted: 'can be made', needs: 'scratch', look: macvlan },
  { name: 'vxlan', wanted: 'can be made', needs: 'scratch', look: vxlan },
  { name: 'IPv6', wanted: 'an address can be added', needs: 'scratch', look: ipv6 },
  { name: 'address protocol', wanted: 'kept by the kernel', needs: 'scratch', look: addressProtocol },
  { name: 'nftables', wanted: 'a table can be made', needs: 'scratch', look: nftables },
  { name: 'pidfd', wanted: 'a process can be held', look: pidfd },
]

function namespaces({ scratch }: Subject): Answer {
  if (scratch.kind === 'made') return ok('made one')
  const fix = 'allow CAP_SYS_ADMIN, install iproute2, and see that user.max_net_namespaces is not 0'
  return failed(scratch.reason, fix)
}

/** A mount made in a private mount namespace (`ip netns exec`, PrivateMounts=) ends with it, and the namespace's name. */
function namespacesSeen({ scratch }: Subject): Answer {
  const { name, inode } = made(scratch).namespace
  const fix = 'start the agent outside `ip netns exec`, and its service without PrivateMounts= and what implies it'
  try {
    const seen = statSync(`/proc/1/root${namespaceDirectory}/${name}`, { throwIfNoEntry: false })
    if (seen?.ino === inode) return ok('process 1 sees them')
    return failed('process 1 does not see them: this mount namespace is private', fix)
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error
    return judgePropagation(readFileSync('/proc/self/mountinfo', 'utf8'), fix)
  }
}

/** Reads /proc/<pid>/mountinfo (proc_pid_mountinfo(5)): a mount with a master gets what others mount and gives nothing. */
export function judgePropagation(mountinfo: string, fix: string): Answer {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [, , , , point = '', , ...tags] = line.split(' - ')[0]?.split(' ') ?? []
    return `${namespaceDirectory}/`.startsWith(point === '/' ? '/' : `${point}/`) ? [{ point, tags }] : []
  })
  // Of two mounts on one point the later covers the earlier.
  const holder = mounts.reduce((best, one) => (one.point.length >= best.point.length ? one : best), {
    point: '',
    tags: [''],
  })
  const has = (tag: string) => holder.tags.some((one) => one.startsWith(`${tag}:`))
  if (has('shared') && !has('master'))
    return unknown(
      `mounts below ${holder.point} are shared, but not surely with process 1`,
      'see that a fresh terminal lists them: ip netns list',
    )
  return failed(`mounts below ${holder.point} are not shared with other processes`, fix)
}

/** Subscribes as the agent does, changes an address, and waits for the word of it. */
async function kernelWatch({ scratch }: Subject): Promise<Answer> {
  const { namespace, socket } = made(scratch)
  const heard = Promise.withResolvers<number>()
  using watch = watchKernel({
    fd: openWatchSocket(256 * 1024),
    onChange: () => {
      heard.resolve(performance.now())
    },
    onGone: () => undefined,
  })
  using host = openNetlink()
  watch.track(() => takeSnapshot(host, namespace.fd, 'all'))
  const toldMs = performance.now()
  socket.apply([addAddress(loopback(socket), watched)])
  const heardMs = await within(2000, heard.promise)
  if (heardMs !== 'late') return ok(`heard a change after ${(heardMs - toldMs).toFixed(1)} ms`)
  return failed('a change was not heard within 2 s', 'use a kernel with NETLINK_LISTEN_ALL_NSID (4.2 or newer)')
}

function veth({ scratch }: Subject): Answer {
  return tryLink('veth', () => made(scratch).link())
}

function bridge({ scratch }: Subject): Answer {
  return tryLink('bridge', () => made(scratch).socket.apply([addBridge({ name: 'try-bridge', up: true })]))
}

function macvlan(subject: Subject): Answer {
  const { link, namespace, socket } = made(subject.scratch)
  return ifWanted(subject, 'macvlan', () =>
    socket.apply([addMacvlan({ name: 'try-macvlan' }, { parent: link(), namespaceFd: namespace.fd })]),
  )
}

function vxlan(subject: Subject): Answer {
  const { link, namespace, socket } = made(subject.scratch)
  const options = { vni: 1, remote: '198.51.100.1', port: 4789, namespaceFd: namespace.fd }
  return ifWanted(subject, 'vxlan', () =>
    socket.apply([addVxlan({ name: 'try-vxlan' }, { parent: link(), ...options })]),
  )
}

/** A kind of link that no router of the config hangs on may be missing. */
function ifWanted({ config }: Subject, kind: 'macvlan' | 'vxlan', make: () => unknown): Answer {
  const answer = tryLink(kind, make)
  if (answer.status === 'ok') return answer
  const users = config.settings.routers.filter(({ interfaces }) =>
    interfaces.some(({ attach }) => attach.kind === kind),
  )
  if (users.length === 0) return warning(`${answer.found}; no router here uses it`, answer.fix)
  return failed(`${answer.found}; used by ${users.map(({ id }) => id).join(', ')}`, answer.fix)
}

function tryLink(kind: string, make: () => unknown): Answer {
  try {
    make()
    return ok('made one')
  } catch (error) {
    return failed(describeError(error), `load or install the kernel module ${kind}: modprobe ${kind}`)
  }
}

function ipv6({ scratch }: Subject): Answer {
  const { namespace, socket } = made(scratch)
  const fix =
    'boot without ipv6.disable=1, and set net.ipv6.conf.all.disable_ipv6 and net.ipv6.conf.default.disable_ipv6 to 0'
  if (readSysctl(namespace.fd, 'net/ipv6/conf/all/forwarding') === undefined)
    return failed('the kernel has no IPv6', fix)
  try {
    socket.apply([addAddress(loopback(socket), documentation6)])
    return ok('added one')
  } catch (error) {
    return warning(`${describeError(error)}; routers with IPv6 addresses will not come up`, fix)
  }
}

/** IFA_PROTO tells our addresses from others'; a kernel that does not know it takes it without a word. */
function addressProtocol({ scratch }: Subject): Answer {
  const { socket } = made(scratch)
  socket.apply([addAddress(loopback(socket), documentation4)])
  const held = listAddresses(socket).find(({ address }) => address === documentation4.address)
  if (held?.protocol === keepwardProtocol) return ok(`${String(keepwardProtocol)} was kept`)
  return warning(
    'the kernel forgets who added an address; one taken out of the config stays until it is removed by hand',
    'use Linux 5.18 or newer',
  )
}

/** As the tables of a router need it: a set that packets fill, with a counter each, and NAT, in a family for both of IP. */
async function nftables({ scratch }: Subject): Promise<Answer> {
  const { fd } = made(scratch).namespace
  const fix = 'apt-get install nftables, and load or install the kernel module nf_tables: modprobe nf_tables'
  try {
    using seen = openNftables(fd)
    await applyRuleset(fd, tryTable)
    if (seen.fingerprint({ family: 'inet', name: 'try' }) !== undefined) return ok('made one')
    return failed('a table that was made is not there', fix)
  } catch (error) {
    return warning(
      `${describeError(error)}; whoever reaches a router can speak VRRP to it, and no address is translated`,
      fix,
    )
  }
}

const tryTable = `table inet try {
  set sources { type ipv4_addr . ifname; size 64; flags dynamic,timeout; timeout 1m; }
  chain input {
    type filter hook input priority -300; policy accept;
    update @sources { ip saddr . iifname counter }
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    masquerade
  }
}
`

function pidfd(): Answer {
  using held = openProcess(process.pid)
  if (held?.alive() === true) return ok('held this one')
  const seen = existsSync('/proc/self/stat')
  return failed(
    seen ? 'this process is not found' : '/proc is not mounted',
    'use Linux 5.3 or newer, with /proc mounted',
  )
}

const loopback = (socket: NetlinkSocket): number => linkByName(socket, 'lo').ifindex

// RFC 5737 and 3849: addresses for documentation, of nobody.
const watched: Prefix = { family: 4, address: '192.0.2.1', prefixLength: 32 }
const documentation4: Prefix = { family: 4, address: '203.0.113.1', prefixLength: 32 }
const documentation6: Prefix = { family: 6, address: '2001:db8::1', prefixLength: 128 }

/** {@link Check.needs} has seen to it. */
function made(outcome: Subject['scratch']): Scratch {
  if (outcome.kind === 'made') return outcome.scratch
  throw new Error(outcome.reason)
}
