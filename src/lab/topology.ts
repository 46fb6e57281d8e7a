import { join } from 'node:path'
import { KeepwardError } from '../base/error.ts'

/** What a lab is made of; everything else follows from it. */
export interface LabShape {
  /** Part of every namespace's name, so that several labs can stand side by side. */
  readonly name: string
  readonly hosts: number
  readonly routers: number
  /** As in the config: `1s`, `100ms`. */
  readonly advertisementInterval: string
  readonly vrrpVersion: 2 | 3
  /** Where directories, configs and journals lie. */
  readonly directory: string
  /** Each host's agent runs as this user, beside a keepward-host of root's; it is root, and does it all itself, unless given. */
  readonly agentUid?: number
  /** A third link with a client of its own, for which each router is a gateway. */
  readonly innerNetwork?: true
}

export const maxHosts = 9
/** VRIDs on the one HA link. */
const maxRouters = 200

export interface LabRouter {
  readonly id: string
  readonly address: string
  readonly address6: string
}

export interface LabHost {
  readonly name: string
  readonly namespace: string
  readonly directory: string
  readonly config: string
  readonly socket: string
  readonly log: string
}

const labNameForm = /^[a-z][a-z0-9]{0,15}$/

/** Check a shape from outside. Throws `request-invalid`. */
export function checkShape(shape: LabShape): LabShape {
  const refuse = (what: string) => {
    throw new KeepwardError('request-invalid', what)
  }
  if (!labNameForm.test(shape.name))
    refuse(`The lab's name is ${shape.name}, must be 1 to 16 lower-case letters and digits`)
  if (!whole(shape.hosts, 1, maxHosts))
    refuse(`--hosts is ${String(shape.hosts)}, must be from 1 to ${String(maxHosts)}`)
  if (!whole(shape.routers, 1, maxRouters))
    refuse(`--routers is ${String(shape.routers)}, must be from 1 to ${String(maxRouters)}`)
  return shape
}

/** Every namespace of a lab, and nothing else, begins so. */
export const prefixOf = (name: string): string => `kwl-${name}-`
export const fabricNamespace = (name: string): string => `${prefixOf(name)}fabric`
export const clientNamespace = (name: string): string => `${prefixOf(name)}client`
/** Of the client behind the routers, where there is an inner network. */
export const innerNamespace = (name: string): string => `${prefixOf(name)}inner`
export const routerNamespace = (name: string, host: string, router: string): string =>
  `${prefixOf(name)}${host}-${router}`

export const agentIdOf = (lab: string, host: string): string => `${lab}-${host}`

export function hostsOf(shape: LabShape): LabHost[] {
  return numbers(shape.hosts).map((n) => {
    const name = `h${String(n)}`
    const directory = join(shape.directory, name)
    return {
      name,
      namespace: prefixOf(shape.name) + name,
      directory,
      config: join(directory, 'agent.yaml'),
      socket: join(directory, 'run', 'control.sock'),
      log: join(directory, 'agent.log'),
    }
  })
}

export function routersOf({ routers }: LabShape): LabRouter[] {
  return numbers(routers).map((n) => ({
    id: `r${String(n)}`,
    address: `198.51.100.${String(n)}`,
    address6: `2001:db8:1::${n.toString(16)}`,
  }))
}

/** Of the client, on the same link as the virtual addresses (RFC 5737 and 3849: documentation only). */
export const clientAddress = { v4: '198.51.100.250', v6: '2001:db8:1::fa' } as const

/** Of the client behind the routers; the gateway that it uses is that of r1. */
export const innerClientAddress = { v4: '10.9.0.250', v6: '2001:db8:9::fa' } as const

/** A router's own on the inner network: virtual addresses. */
export const gatewayOf = (n: number): { readonly v4: string; readonly v6: string } => ({
  v4: `10.9.0.${String(n)}`,
  v6: `2001:db8:9::${n.toString(16)}`,
})

/**
 * The config of one host. Every router lives on every host; who is preferred rotates, so that the primaries are spread.
 */
export function configOf(shape: LabShape, host: LabHost): string {
  const hosts = hostsOf(shape)
  const own = hosts.findIndex((one) => one.name === host.name)
  const head = [
    'version: 1',
    // Marks in the kernel name the agent: two labs on one machine must not take each other's namespaces for their own.
    `agent: { id: ${agentIdOf(shape.name, host.name)}${shape.agentUid === undefined ? '' : `, user: ${String(shape.agentUid)}`} }`,
    `paths: { state: ${host.directory}/state, run: ${host.directory}/run, host: ${host.directory}/host }`,
    'reconcile: { intervalMs: 2000 }',
    'routers:',
  ]
  return [
    ...head,
    ...routersOf(shape).flatMap((router, index) => routerLines(shape, host, hosts.length, own, router, index + 1)),
    '',
  ].join('\n')
}

function routerLines(
  shape: LabShape,
  host: LabHost,
  hosts: number,
  own: number,
  router: LabRouter,
  n: number,
): string[] {
  const haAddress = (index: number) => `169.254.${String(192 + index)}.${String(n)}`
  const peers = numbers(hosts)
    .map((one) => one - 1)
    .filter((index) => index !== own)
  const inner = shape.innerNetwork === true
  const { v4, v6 } = gatewayOf(n)
  const rank = (own - ((n - 1) % hosts) + hosts) % hosts
  const advertise =
    peers.length === 0
      ? 'multicast: { peers: [] }'
      : `unicast: { source: ${haAddress(own)}, peers: [${peers.map(haAddress).join(', ')}] }`
  return [
    `  - id: ${router.id}`,
    `    vrid: ${String(n)}`,
    `    namespace: ${routerNamespace(shape.name, host.name, router.id)}`,
    `    vrrpVersion: ${String(shape.vrrpVersion)}`,
    `    advertisementInterval: ${shape.advertisementInterval}`,
    `    priority: ${String(250 - rank * Math.floor(200 / hosts))}`,
    `    ha: { interface: ha0, ${advertise} }`,
    '    interfaces:',
    `      - { name: ha0, attach: { bridge: br-ha }, addresses: [${haAddress(own)}/18] }`,
    '      - { name: ext0, attach: { bridge: br-ext } }',
    ...(inner ? ['      - { name: int0, attach: { bridge: br-int } }'] : []),
    '    virtualAddresses:',
    `      - { address: ${router.address}/24, interface: ext0 }`,
    `      - { address: "${router.address6}/64", interface: ext0 }`,
    ...(inner ? [`${v4}/24`, `${v6}/64`].map((one) => `      - { address: "${one}", interface: int0 }`) : []),
  ]
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)
const whole = (value: number, from: number, to: number): boolean =>
  Number.isInteger(value) && value >= from && value <= to
