import { formatPrefix, type Prefix } from '../base/address.ts'
import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { keepwardProtocol } from '../linux/address.ts'
import type { RouterSpec, VirtualAddress, VirtualRoute } from '../router/spec.ts'
import { authenticationLines, refuseAuthentication } from './authentication.ts'
import type { KeepalivedFeatures } from './features.ts'
import { isLinkLocal, isOnLink } from './on-link.ts'
import { addressToken, integerToken, nameToken, pathToken, prefixToken, secondsToken } from './token.ts'

export interface RenderContext {
  /** Absolute path of the agent's notify FIFO. */
  readonly fifoPath: string
  /** Of `spec.authentication`, read from its file. */
  readonly password?: Secret
}

/**
 * The text of keepalived.conf(5) for one router. Canonical: two specs that mean the same give the same text, so equal
 * text is equal meaning. Every word is checked again here, whatever checked it before. Throws `config-invalid`.
 */
export function renderConfig(spec: RouterSpec, features: KeepalivedFeatures, context: RenderContext): string {
  refuseContradictions(spec, features, context)
  return [
    ...block('global_defs', globalLines(spec, context)),
    ...block(`vrrp_instance "${nameToken('router id', spec.id)}"`, [
      ...roleLines(spec),
      ...advertLines(spec, context),
      ...trackingLines(spec),
      ...block('virtual_ipaddress', [addressLine(spec, { ...spec.marker, interface: spec.haInterface })]),
      ...block(
        'virtual_ipaddress_excluded',
        sorted(spec.virtualAddresses).map((address) => addressLine(spec, address)),
      ),
      ...block('virtual_routes', spec.virtualRoutes.map(routeLine)),
    ]),
    '',
  ].join('\n')
}

/**
 * How long a started keepalived listens before its timers run: a peer that is up is heard although the link passes
 * traffic later than it has carrier (LP#1597461).
 */
export const startupDelayMs = (spec: Pick<RouterSpec, 'advertisementIntervalMs'>): number =>
  Math.max(1000, spec.advertisementIntervalMs)

function refuseContradictions(spec: RouterSpec, features: KeepalivedFeatures, context: RenderContext): void {
  const refuse = (says: string) => {
    throw new KeepwardError('config-invalid', `Cannot render the keepalived config of router ${spec.id}: ${says}`)
  }
  if (spec.marker.family === 6 && spec.vrrpVersion !== 3) refuse('an IPv6 marker needs VRRP version 3')
  if (spec.advertise.kind === 'unicast') {
    const family = spec.advertise.source.includes(':') ? 6 : 4
    if (family !== spec.marker.family) refuse(`unicast peers must be IPv${spec.marker.family}, as the marker is`)
    if (spec.advertise.peers.length === 0) refuse('unicast needs at least one peer')
  }
  refuseAuthentication(spec, features, context.password)
}

function globalLines(spec: RouterSpec, context: RenderContext): string[] {
  return [
    // Else keepalived resolves the host's name, which can hang (LP#1511722).
    `router_id "${nameToken('router id', spec.id)}"`,
    // No script is ever rendered; these say what would hold for one.
    'script_user root',
    'enable_script_security',
    // Of the dump; pid files are 0644 whatever is said, hence their private directory.
    'umask 0177',
    `vrrp_startup_delay ${secondsToken('startup delay', startupDelayMs(spec))}`,
    `vrrp_notify_fifo "${pathToken('notify FIFO', context.fifoPath)}"`,
    ...pauseLines(spec),
  ]
}

function pauseLines({ announcements: { pauseMs } }: RouterSpec): string[] {
  if (pauseMs === 0) return []
  const pause = secondsToken('announcement pause', integerToken('announcement pause', pauseMs, 1, 100))
  return [`vrrp_garp_interval ${pause}`, `vrrp_gna_interval ${pause}`]
}

function roleLines(spec: RouterSpec): string[] {
  return [
    // MASTER would take the address first and listen then.
    'state BACKUP',
    `interface ${nameToken('interface', spec.haInterface)}`,
    `virtual_router_id ${integerToken('vrid', spec.vrid, 1, 255)}`,
    `version ${integerToken('VRRP version', spec.vrrpVersion, 2, 3)}`,
    ...(spec.marker.family === 6 ? ['native_ipv6'] : []),
    `priority ${integerToken('priority', spec.priority, 1, 254)}`,
    `advert_int ${intervalToken(spec)}`,
    ...preemptLines(spec),
    ...announcementLines(spec),
  ]
}

/** They hold for neighbour advertisements too. At the change, and when a slow switch surely learns again (LP#1520517). */
function announcementLines({ announcements: { repeat, delayS, refreshS } }: RouterSpec): string[] {
  return [
    `garp_master_delay ${integerToken('announcement delay', delayS, 1, 60)}`,
    `garp_master_repeat ${integerToken('announcement repeat', repeat, 1, 10)}`,
    `garp_master_refresh ${integerToken('announcement refresh', refreshS, 0, 86_400)}`,
    // While both were primary, the one that yields may have been believed last. It answers the first advert of the other
    // with one of its own, and that makes the other announce again; neither is keepalived's default.
    'higher_prio_send_advert true',
    `garp_lower_prio_delay ${String(delayS)}`,
    `garp_lower_prio_repeat ${String(repeat)}`,
  ]
}

function intervalToken(spec: RouterSpec): string {
  const { advertisementIntervalMs: value, vrrpVersion } = spec
  // RFC 3768, 5.3.7: a byte of seconds. RFC 9568, 5.2.7: 12 bits of centiseconds.
  const [step, most] = vrrpVersion === 2 ? [1000, 255_000] : [10, 40_950]
  return secondsToken(
    'advertisement interval',
    integerToken('advertisement interval', value / step, 1, most / step) * step,
  )
}

function preemptLines({ preempt }: RouterSpec): string[] {
  if (preempt.kind === 'never') return ['nopreempt']
  if (preempt.delayMs === 0) return []
  return [
    `preempt_delay ${secondsToken('preempt delay', integerToken('preempt delay', preempt.delayMs, 1, 1_000_000))}`,
  ]
}

function advertLines(spec: RouterSpec, context: RenderContext): string[] {
  return [...peerLines(spec), ...block(...authenticationLines(spec, context.password))]
}

function peerLines(spec: RouterSpec): string[] {
  if (spec.advertise.kind === 'multicast') return groupSourceLines(spec)
  const peers = [...new Set(spec.advertise.peers.map((peer) => addressToken('unicast peer', peer)))].sort()
  return [
    `unicast_src_ip ${addressToken('unicast source', spec.advertise.source)}`,
    'check_unicast_src',
    // IPv6 adverts of keepalived 2.2.7 leave with 64 otherwise, and no filter lets them in.
    ...(spec.marker.family === 6 ? ['unicast_ttl 255'] : []),
    // RFC 9568, 5.1.1.3: a hop limit of 255 proves a sender on the link. A routed peer cannot have it, and of IPv6 peers
    // keepalived 2.2.7 refuses every advert then (ip_ttl_err): all hosts would be primary.
    ...block(
      'unicast_peer',
      peers.map((peer) => (spec.marker.family === 4 && isOnLink(spec, peer) ? `${peer} min_ttl 255` : peer)),
    ),
  ]
}

/** keepalived takes the newest link-local address, which may be one that the kernel made up: no peer could declare it. */
function groupSourceLines({ advertise, marker, haInterface, interfaces }: RouterSpec): string[] {
  if (advertise.kind !== 'multicast' || advertise.peers === undefined) return []
  const own = interfaces.find(({ name }) => name === haInterface)?.addresses ?? []
  const source = own.find(({ family, address }) => family === marker.family && (family === 4 || isLinkLocal(address)))
  return source === undefined ? [] : [`mcast_src_ip ${addressToken('multicast source', source.address)}`]
}

/** keepalived 2.2.7 tracks the VRRP interface unasked, and warns (exit code 5 of -t) when `track_interface` names it. */
function trackingLines(spec: RouterSpec): string[] {
  const tracked = [...new Set(spec.trackedInterfaces)].filter((name) => name !== spec.haInterface).sort()
  return [
    ...(isTracked(spec, spec.haInterface) ? [] : ['dont_track_primary']),
    ...block(
      'track_interface',
      tracked.map((name) => nameToken('tracked interface', name)),
    ),
  ]
}

function addressLine(spec: RouterSpec, address: VirtualAddress): string {
  const device = nameToken('interface', address.interface)
  return [prefixText(address), 'dev', device, ...noTrack(spec, address.interface)].join(' ')
}

function routeLine({ destination, via, interface: device, metric }: VirtualRoute): string {
  return [
    prefixText(destination),
    ...(via === undefined ? [] : ['via', addressToken('gateway', via)]),
    ...(device === undefined ? [] : ['dev', nameToken('interface', device)]),
    ...(metric === undefined ? [] : ['metric', String(integerToken('metric', metric, 0, 0xffff_ffff))]),
    // keepalived tracks routes of its own protocol number only: without no_track, -t warns and exits with 5.
    `protocol ${keepwardProtocol} no_track`,
  ].join(' ')
}

const prefixText = (prefix: Prefix): string => prefixToken('address', formatPrefix(prefix))

const isTracked = (spec: RouterSpec, name: string): boolean => spec.trackedInterfaces.includes(name)

const noTrack = (spec: RouterSpec, name: string): string[] => (isTracked(spec, name) ? [] : ['no_track'])

/**
 * Order matters within one interface and family only, where the first address of a subnet is the kernel's choice as
 * source; there it stays as the operator wrote it. The order of routes stays, since a gateway may need the one before.
 */
function sorted(addresses: readonly VirtualAddress[]): VirtualAddress[] {
  const order = (a: VirtualAddress, b: VirtualAddress) =>
    a.interface < b.interface ? -1 : a.interface > b.interface ? 1 : a.family - b.family
  return [...addresses].sort(order)
}

function block(head: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${head} {`, ...lines.map((line) => `    ${line}`), '}']
}
