import { readFileSync, readlinkSync } from 'node:fs'
import { errnoOf } from '../base/error.ts'
import { failed, ok, unknown, warning, type Answer, type Check } from './check.ts'
import type { Subject } from './subject.ts'

/** What this process may do, and where it stands. */
export const privilegeChecks: readonly Check[] = [
  {
    name: 'capabilities',
    wanted: 'NET_ADMIN, SYS_ADMIN, NET_BROADCAST, NET_RAW, CHOWN',
    look: ({ root }) => judgeCapabilities(readFileSync('/proc/self/status', 'utf8'), root),
  },
  {
    name: 'user ids',
    wanted: 'all, as the host counts them',
    look: () => judgeUidMap(readFileSync('/proc/self/uid_map', 'utf8')),
  },
  { name: 'network namespace', wanted: 'that of process 1', look: networkNamespace },
]

/** capabilities(7): the bit, and what fails without it. */
const needed = [
  { name: 'NET_ADMIN', bit: 12n, use: 'makes links and addresses' },
  { name: 'SYS_ADMIN', bit: 21n, use: 'makes and enters namespaces' },
  { name: 'NET_BROADCAST', bit: 11n, use: 'hears all namespaces' },
  { name: 'NET_RAW', bit: 13n, use: 'lets keepalived speak VRRP' },
] as const
const useful = { name: 'CHOWN', bit: 0n, use: 'gives the control socket to its group' } as const

/** Reads /proc/<pid>/status (proc_pid_status(5)). */
export function judgeCapabilities(status: string, root: boolean): Answer {
  const digits = /^CapEff:\s*([0-9a-f]{16})$/m.exec(status)?.[1]
  if (digits === undefined) return unknown('/proc/self/status names none', 'mount /proc')
  const effective = BigInt(`0x${digits}`)
  const lacks = ({ bit }: { readonly bit: bigint }) => (effective & (1n << bit)) === 0n
  const missing = [...needed, useful].filter(lacks)
  if (missing.length === 0) return ok('has them')
  const found = `lacks ${missing.map(({ name, use }) => `${name} (${use})`).join(', ')}`
  if (!root) return unknown(`not root: ${found}`, 'run it as root, as the agent will: sudo keepward doctor')
  const fix = `allow CAP_${missing.map(({ name }) => name).join(' CAP_')}, in a service by CapabilityBoundingSet=`
  return needed.some(lacks) ? failed(found, fix) : warning(found, fix)
}

/** Reads /proc/<pid>/uid_map (user_namespaces(7)). */
export function judgeUidMap(map: string): Answer {
  const ranges = map
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const [inside, outside, length] = ranges[0] ?? []
  if (ranges.length === 1 && inside === 0 && outside === 0 && length === 4_294_967_295) return ok('all')
  return warning(
    'a user namespace that maps only some: other users are seen as nobody, and capabilities end at its border',
    'start the agent outside containers with user namespaces, and its service without PrivateUsers=',
  )
}

/** Bridges and parents of the config are looked for in our own network namespace. */
function networkNamespace(subject: Subject): Answer {
  try {
    const [own, first] = [readlinkSync('/proc/self/ns/net'), readlinkSync('/proc/1/ns/net')]
    if (own === first) return ok(own)
    const fix =
      'start the agent outside `ip netns exec`, and its service without PrivateNetwork=; in a lab this is right'
    return warning(`${own}, that of process 1 is ${first}`, fix)
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error
    const found = 'that of process 1 may not be read'
    return unknown(
      found,
      subject.root ? 'compare `ip link` here and in a fresh terminal' : 'run it as root: sudo keepward doctor',
    )
  }
}
