import type { Prefix } from '../src/base/address.ts'

/** One router of a bench, on one host. */
export interface RouterPlan {
  /** From 1; id, VRID and addresses follow from it. */
  readonly n: number
  readonly namespace: string
  /** Index of the host, the most preferred first, and how many there are. */
  readonly host: number
  readonly hosts: number
  readonly advertisementInterval: string
  readonly vrrpVersion: 2 | 3
  /** With all services that follow the role. */
  readonly services: boolean
  /** However often its role changes, it is not held to flap: reports are not held back. */
  readonly steady: boolean
}

export const routerId = (n: number): string => `r${n}`
export const virtualAddress = (n: number): string => `198.51.100.${n}`
export const haInterface = 'ha0'
export const markerOf = (n: number): Prefix => ({ family: 4, address: `169.254.0.${n}`, prefixLength: 24 })

/** As in an operator's file: unicast peers, an HA link, and an outer one with an address of each family. */
export function configText(
  agent: {
    readonly agent: string
    readonly state: string
    readonly run: string
    /** The user of an agent that is not root, and the directory of its root half. */
    readonly split?: { readonly uid: number; readonly host: string }
    readonly sinks?: readonly string[] | undefined
  },
  routers: readonly RouterPlan[],
): string {
  const { split } = agent
  return [
    'version: 1',
    `agent: { id: ${agent.agent}${split === undefined ? '' : `, user: ${split.uid}`} }`,
    `paths: { state: ${agent.state}, run: ${agent.run}${split === undefined ? '' : `, host: ${split.host}`} }`,
    ...(agent.sinks ?? []),
    routers.length === 0 ? 'routers: []' : 'routers:',
    ...routers.flatMap(routerLines),
    '',
  ].join('\n')
}

function routerLines(plan: RouterPlan): string[] {
  const { n, namespace, host, hosts, vrrpVersion, advertisementInterval, services, steady } = plan
  const haAddress = (index: number) => `169.254.${192 + index}.${n}`
  // With one host the peer is one that is never there.
  const others = Array.from({ length: Math.max(2, hosts) }, (_, index) => index).filter((index) => index !== host)
  return [
    `  - id: ${routerId(n)}`,
    `    vrid: ${n}`,
    `    namespace: ${namespace}`,
    `    vrrpVersion: ${vrrpVersion}`,
    `    advertisementInterval: ${advertisementInterval}`,
    `    priority: ${200 - 50 * host}`,
    ...(steady ? ['    flaps: { changes: 500 }'] : []),
    `    ha: { interface: ${haInterface}, unicast: { source: ${haAddress(host)}, peers: [${others.map(haAddress).join(', ')}] } }`,
    '    interfaces:',
    `      - { name: ${haInterface}, attach: { bridge: br-ha }, addresses: [${haAddress(host)}/18] }`,
    '      - { name: ext0, attach: { bridge: br-ext } }',
    '    virtualAddresses:',
    `      - { address: ${virtualAddress(n)}/24, interface: ext0 }`,
    `      - { address: "2001:db8:1::${n.toString(16)}/64", interface: ext0 }`,
    ...(services ? serviceLines(n) : []),
  ]
}

const serviceLines = (n: number): string[] => [
  `      - { address: "fe80::${n.toString(16)}/64", interface: ext0 }`,
  `      - { address: 169.254.170.${n}/32, interface: ext0 }`,
  '    routerAdvertisements: [{ interface: ext0, prefixes: [{ prefix: "2001:db8:1::/64" }] }]',
  `    metadata: { addresses: [169.254.170.${n}], socket: /run/metadata }`,
  '    connectionTracking: {}',
  '    hooks: [{ program: /usr/bin/true, user: nobody, on: [primary, backup] }]',
  // What is measured is not held back for it.
  '    flaps: { changes: 500 }',
]
