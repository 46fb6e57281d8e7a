import type { FlowExchange, MetadataProxy, Nat, RouterAdvertisement, RouterSpec } from '../router/spec.ts'
import { advertisementSource } from './advertisement-rules.ts'
import type { AdvertisementEntry } from './advertisement-schema.ts'
import { defaultAnchors, defaultMarker, defaultNamespace, vrrpFamily, withLinkLocals } from './derived.ts'
import { flowEnds } from './flow-rules.ts'
import type { MetadataEntry } from './metadata-schema.ts'
import type { NatEntry } from './nat-schema.ts'
import type { RouteEntry, RouterEntry } from './router-schema.ts'
import type { ConfigEntry } from './schema.ts'
import type { SinkEntry } from './sink-schema.ts'
import { familyOf } from './subnet.ts'
import type { VaultEntry } from './vault-schema.ts'

/** What the operator wants of one host, complete: nothing is left to be guessed later. */
export interface AgentConfig {
  readonly agent: { readonly id: string; readonly user: string | number }
  readonly paths: Readonly<ConfigEntry['paths'] & { anchors: string }>
  readonly control: { readonly group: string; readonly metricsPort: number | undefined }
  readonly journal: Readonly<ConfigEntry['journal']>
  readonly audit: Readonly<ConfigEntry['audit']>
  readonly config: Readonly<ConfigEntry['config']>
  readonly reconcile: Readonly<ConfigEntry['reconcile']>
  readonly stateChange: Readonly<ConfigEntry['stateChange']>
  readonly sinks: readonly SinkEntry[]
  readonly vault: Readonly<VaultEntry> | undefined
  readonly logging: Readonly<ConfigEntry['logging']>
  readonly routers: readonly RouterSpec[]
}

/** `hostname` stands in for a host identity that the file leaves out; the caller has checked its form. */
export function completeConfig(entry: ConfigEntry, hostname: string): AgentConfig {
  return {
    agent: { id: entry.agent.id ?? hostname, user: entry.agent.user },
    paths: { ...entry.paths, anchors: entry.paths.anchors ?? defaultAnchors(entry.paths.state) },
    control: { group: entry.control.group, metricsPort: entry.control.metricsPort },
    journal: entry.journal,
    audit: entry.audit,
    config: entry.config,
    reconcile: entry.reconcile,
    stateChange: entry.stateChange,
    sinks: entry.sinks,
    vault: entry.vault,
    logging: entry.logging,
    routers: entry.routers.map(completeRouter),
  }
}

function completeRouter(entry: RouterEntry): RouterSpec {
  const { advertise } = entry.ha
  return {
    id: entry.id,
    namespace: entry.namespace ?? defaultNamespace(entry.id),
    vrid: entry.vrid,
    vrrpVersion: entry.vrrpVersion,
    advertisementIntervalMs: entry.advertisementInterval,
    priority: entry.priority,
    preempt: entry.preempt,
    haInterface: entry.ha.interface,
    interfaces: entry.interfaces,
    marker: entry.marker ?? defaultMarker(entry.vrid, vrrpFamily({ ...entry, advertise, ownMarker: undefined })),
    virtualAddresses: withLinkLocals({ ...entry, haInterface: entry.ha.interface }),
    announcements: entry.announcements,
    virtualRoutes: entry.virtualRoutes.map(completeRoute),
    advertise,
    authentication: entry.authentication,
    routerAdvertisements: entry.routerAdvertisements.map((one) => completeAdvertisement(one, entry)),
    metadata: entry.metadata && completeMetadata(entry.metadata, entry),
    connectionTracking: entry.connectionTracking && completeFlows(entry, entry.connectionTracking.port),
    nat: entry.nat && completeNat(entry.nat, entry),
    packetFilter: entry.packetFilter,
    hooks: entry.hooks.map(({ timeout, ...hook }) => ({ ...hook, timeoutMs: timeout })),
    flaps: { changes: entry.flaps.changes, windowMs: entry.flaps.window },
    trackedInterfaces: entry.track ?? [entry.ha.interface],
  }
}

function completeAdvertisement(
  { lifetime, interval, prefixes, ...entry }: AdvertisementEntry,
  { virtualAddresses }: RouterEntry,
): RouterAdvertisement {
  return {
    ...entry,
    mtu: entry.mtu,
    // The rules have seen that there is one.
    source: advertisementSource(entry.interface, virtualAddresses) ?? '',
    lifetimeS: Math.round(lifetime / 1000),
    intervalS: Math.round(interval / 1000),
    prefixes: prefixes.map(({ validLifetime, preferredLifetime, ...one }) => ({
      ...one,
      validS: Math.round(validLifetime / 1000),
      preferredS: Math.round(preferredLifetime / 1000),
    })),
  }
}

function completeMetadata(
  { addresses, ...entry }: MetadataEntry,
  { virtualAddresses }: Pick<RouterEntry, 'virtualAddresses'>,
): MetadataProxy {
  const listen = virtualAddresses.filter(({ address }) => addresses.includes(address))
  return {
    ...entry,
    networkId: entry.networkId,
    listen: listen.map(({ address, interface: name }) => ({ address, interface: name })),
  }
}

/** The rules have seen that both ends are known. */
function completeFlows({ ha, interfaces }: RouterEntry, port: number): FlowExchange {
  const ends = flowEnds(
    ha.advertise,
    interfaces.find(({ name }) => name === ha.interface),
  )
  return { source: '', peer: '', ...ends, port }
}

function completeNat(
  { floating, source, masquerade }: NatEntry,
  { virtualAddresses }: Pick<RouterEntry, 'virtualAddresses'>,
): Nat | undefined {
  // The rules have seen that there is one.
  const interfaceOf = (address: string) => virtualAddresses.find((one) => one.address === address)?.interface ?? ''
  const sources = [
    ...source.map(({ from, to }) => ({ from, interface: interfaceOf(to), to })),
    ...masquerade.map((one) => ({ ...one, to: undefined })),
  ]
  if (sources.length === 0 && floating.length === 0) return undefined
  return { sources, floating: floating.map((one) => ({ ...one, interface: interfaceOf(one.outside) })) }
}

function completeRoute({ to, via, interface: name, metric }: RouteEntry): RouterSpec['virtualRoutes'][number] {
  const family = via === undefined ? 4 : familyOf(via)
  const everything = { family, address: family === 4 ? '0.0.0.0' : '::', prefixLength: 0 } as const
  return { destination: to === 'default' ? everything : to, via, interface: name, metric }
}
