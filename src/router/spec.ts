import type { Prefix } from '../base/address.ts'
import type { SecretSource } from '../base/secret-source.ts'

declare const routerIdBrand: unique symbol
/** A UUID or `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`; made by {@link parseRouterId} only. */
export type RouterId = string & { readonly [routerIdBrand]: true }

const routerIdForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export function parseRouterId(text: string): RouterId | undefined {
  return routerIdForm.test(text) ? (text as RouterId) : undefined
}

/** What the operator wants of one HA router on this host: the config after defaults and cross-checks. */
export interface RouterSpec {
  readonly id: RouterId
  /** Name under /run/netns. */
  readonly namespace: string
  /** Virtual router id on the HA link, 1 to 255 (RFC 9568, 5.2.3). */
  readonly vrid: number
  readonly vrrpVersion: 2 | 3
  /** VRRPv2: whole seconds; VRRPv3: 10 to 40 950 ms in steps of 10 (RFC 9568, 5.2.7). */
  readonly advertisementIntervalMs: number
  /** 1 to 254; 255 would claim to own the addresses (RFC 9568, 5.2.4). */
  readonly priority: number
  readonly preempt: Preempt
  /** Name of the interface, one of `interfaces`, that carries VRRP. */
  readonly haInterface: string
  readonly interfaces: readonly InterfaceSpec[]
  /** Alone in `virtual_ipaddress`, on the HA interface, fixed for the router's life; its presence is the role. */
  readonly marker: Prefix
  readonly virtualAddresses: readonly VirtualAddress[]
  readonly announcements: Announcements
  readonly virtualRoutes: readonly VirtualRoute[]
  readonly advertise: Advertise
  readonly authentication: Authentication
  /** Sent by the primary, one for each interface with hosts that configure themselves (RFC 4861). */
  readonly routerAdvertisements: readonly RouterAdvertisement[]
  /** A proxy to a metadata service on a Unix socket; undefined: none. */
  readonly metadata: MetadataProxy | undefined
  /** Programs of the operator that hear of each change of role, in this order. */
  readonly hooks: readonly Hook[]
  readonly flaps: FlapLimits
  /** Interfaces whose loss makes this instance FAULT; all others are rendered `no_track`. */
  readonly trackedInterfaces: readonly string[]
}

export const hookRoles = ['primary', 'backup', 'fault'] as const
export type HookRole = (typeof hookRoles)[number]

/** A program of the operator that is run when a role was taken. */
export interface Hook {
  /** Absolute path; root's alone to write. */
  readonly program: string
  readonly args: readonly string[]
  /** Whom it runs as, by name or number; never root. */
  readonly user: string | number
  readonly on: readonly HookRole[]
  /** After it the program is killed, with all that it started. */
  readonly timeoutMs: number
  /** Whose network it sees. */
  readonly namespace: 'host' | 'router'
}

/** More changes of role than `changes` within `windowMs` are flapping. */
export interface FlapLimits {
  readonly changes: number
  readonly windowMs: number
}

/** Where instances behind the router ask for their metadata, and who answers. */
export interface MetadataProxy {
  /** On whom it runs. */
  readonly on: 'primary' | 'always'
  /** Each one of the virtual addresses; asked on that one's interface alone. */
  readonly listen: readonly { readonly address: string; readonly interface: string }[]
  readonly port: number
  /** Path of the Unix socket of the metadata service. */
  readonly socket: string
  /** Whom the proxy runs as; it must be allowed to open the socket. */
  readonly user: string
  readonly group: string
  /** Of the network behind the router, told in a header of its own. */
  readonly networkId: string | undefined
}

/** What hosts on a link are told by router advertisements (RFC 4861, 4.2). */
export interface RouterAdvertisement {
  /** One of `interfaces`; the link-local address that advertisements come from is among the virtual addresses on it. */
  readonly interface: string
  readonly source: string
  readonly prefixes: readonly AdvertisedPrefix[]
  readonly mtu: number | undefined
  /** How long hosts keep the router, 0 to 9000 s; 0: it is no default router. */
  readonly lifetimeS: number
  /** Seconds between two unsolicited advertisements, at most. */
  readonly intervalS: number
  /** Hosts ask DHCPv6 for addresses; for everything else. */
  readonly managed: boolean
  readonly otherConfig: boolean
  /** Recursive DNS servers (RFC 8106). */
  readonly dnsServers: readonly string[]
  readonly dnsSearch: readonly string[]
}

export interface AdvertisedPrefix {
  readonly prefix: Prefix
  /** Hosts make addresses of it by themselves (SLAAC, RFC 4862). */
  readonly autonomous: boolean
  readonly onLink: boolean
  readonly validS: number
  readonly preferredS: number
}

export type Preempt = { readonly kind: 'never' } | { readonly kind: 'after'; readonly delayMs: number }

export interface InterfaceSpec {
  /** At most 15 characters (IFNAMSIZ). */
  readonly name: string
  readonly attach: Attach
  /** Addresses that this instance always holds, whatever its role. */
  readonly addresses: readonly Prefix[]
  readonly mtu: number | undefined
  readonly macAddress: string | undefined
  /** Default routes are taken from routers on the link, whatever the role. */
  readonly acceptRouterAdvertisements: boolean
}

export type Attach =
  /** A veth pair; the outer end is a port of this bridge in the host's namespace. */
  | { readonly kind: 'bridge'; readonly bridge: string }
  | { readonly kind: 'macvlan'; readonly parent: string }
  | {
      readonly kind: 'vxlan'
      readonly parent: string
      /** VXLAN network identifier, 1 to 16 777 215 (RFC 7348). */
      readonly vni: number
      /** Multicast group, or the one remote end. */
      readonly remote: string
      readonly port: number
    }
  /** Somebody else makes it and moves it into the namespace; we never remove it. */
  | { readonly kind: 'existing' }

export interface VirtualAddress extends Prefix {
  readonly interface: string
}

/** How a primary tells its neighbours where the virtual addresses are: gratuitous ARP, unsolicited neighbour advertisements. */
export interface Announcements {
  /** Of each address, when the role is taken and again `delayS` later. */
  readonly repeat: number
  readonly delayS: number
  /** Each once every so often while primary; 0: never. */
  readonly refreshS: number
  /** Between two on one interface. */
  readonly pauseMs: number
}

export interface VirtualRoute {
  /** Network in canonical text; `0.0.0.0/0` and `::/0` are the defaults. */
  readonly destination: Prefix
  readonly via: string | undefined
  readonly interface: string | undefined
  readonly metric: number | undefined
}

export type Advertise =
  | {
      readonly kind: 'multicast'
      /** Source addresses of the other hosts' adverts; undefined: nobody has said. */
      readonly peers: readonly string[] | undefined
    }
  | {
      readonly kind: 'unicast'
      readonly source: string
      readonly peers: readonly string[]
      /** Least TTL or hop limit of adverts from peers that are not on the HA link, 1 to 255. */
      readonly minTtl: number | undefined
    }

export type Authentication =
  | { readonly kind: 'none' }
  /** VRRPv2 simple password, 1 to 8 bytes, clear text on the wire (RFC 2338, 5.3.6.1): no security. */
  | { readonly kind: 'pass'; readonly password: SecretSource }
  /** Adverts signed with HMAC-SHA256 (draft-cassen-vrrp-auth-hmac). Files hold the keys. */
  | {
      readonly kind: 'hmac'
      readonly keys: readonly { readonly id: number; readonly file: string }[]
      /** Of the key that signs own adverts. */
      readonly activeKey: number
      /** `permissive`: adverts that are not signed are heard too. */
      readonly mode: 'enforce' | 'permissive'
    }
