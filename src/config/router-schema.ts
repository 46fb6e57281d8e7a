import { z } from 'zod'
import type { Advertise, Preempt } from '../router/spec.ts'
import { announcementSchema } from './announcement-schema.ts'
import { advertisementSchema } from './advertisement-schema.ts'
import { authenticationSchema } from './authentication-schema.ts'
import {
  duration,
  hostAddress,
  hostPrefix,
  interfaceName,
  namespaceName,
  networkPrefix,
  routerId,
  wholeNumber,
} from './form.ts'
import { flapsSchema, hookSchema } from './hook-schema.ts'
import { interfaceSchema } from './interface-schema.ts'
import { metadataSchema } from './metadata-schema.ts'

const unicast = z
  .strictObject(
    {
      source: hostAddress.meta({
        description: 'Address of the HA interface that advertisements come from.',
        examples: ['169.254.192.1'],
      }),
      peers: z
        .array(hostAddress, 'must be a list of IP addresses')
        .min(1, 'must be a list of at least one IP address')
        .meta({
          description: 'HA addresses of the same router on the other hosts. Nobody else is heard.',
          examples: [['169.254.192.2', '169.254.192.3']],
        }),
      minTtl: wholeNumber(1, 255)
        .optional()
        .meta({
          description:
            'Least TTL or hop limit that adverts of peers outside of the subnets of the HA interface arrive with: 255 less one for each router between. Needed for such peers; those within must have 255.',
          examples: [254],
        }),
    },
    'must be a map with the keys source and peers',
  )
  .meta({
    description:
      'Advertise to these peers alone. On a link that many routers share, multicast costs grow with their square.',
    examples: [{ source: '169.254.192.1', peers: ['169.254.192.2', '169.254.192.3'] }],
  })

const multicast = z
  .union(
    [
      z.literal(true),
      z.strictObject({
        peers: z.array(hostAddress, 'must be a list of IP addresses').meta({
          description: 'Addresses that the other hosts advertise from; an empty list for none. Nobody else is heard.',
          examples: [['169.254.192.2', '169.254.192.3']],
        }),
      }),
    ],
    'must be true or a map with the key peers',
  )
  .meta({
    description:
      'In place of unicast: advertise to the VRRP group. To be asked for, since every port hears it. With true, whoever is on the link is heard; over IPv6 the peers are link-local addresses.',
    examples: [{ peers: ['169.254.192.2', '169.254.192.3'] }, true],
  })

const ha = z
  .strictObject(
    {
      interface: interfaceName.meta({
        description: 'The one of `interfaces` that carries VRRP.',
        examples: ['ha0'],
      }),
      unicast: unicast.optional(),
      multicast: multicast.optional(),
    },
    'must be a map with the keys interface and unicast',
  )
  .transform((entry, context): HaEntry => {
    const { unicast: one, multicast: all } = entry
    if (one !== undefined && all === undefined) {
      return { interface: entry.interface, advertise: { kind: 'unicast', ...one, minTtl: one.minTtl } }
    }
    if (one === undefined && all !== undefined) {
      const peers = all === true ? undefined : all.peers
      return { interface: entry.interface, advertise: { kind: 'multicast', peers } }
    }
    const found = one === undefined ? 'neither unicast nor multicast' : 'both unicast and multicast'
    context.addIssue({
      code: 'custom',
      message: `names ${found}, must name one of them`,
      input: entry,
      params: { said: true },
    })
    return z.NEVER
  })

const virtualAddress = z
  .strictObject(
    {
      address: hostPrefix.meta({
        description: 'Address of either family with its prefix length.',
        examples: ['203.0.113.10/24'],
      }),
      interface: interfaceName.meta({ description: 'The one of `interfaces` that gets it.', examples: ['ext0'] }),
    },
    'must be a map with the keys address and interface',
  )
  .transform((entry) => ({ ...entry.address, interface: entry.interface }))

const virtualRoute = z.strictObject(
  {
    to: networkPrefix.meta({
      description: 'Network, or `default` of the family of `via`.',
      examples: ['default', '198.51.100.0/24'],
    }),
    via: hostAddress.optional().meta({ description: 'Next hop.', examples: ['203.0.113.1'] }),
    interface: interfaceName.optional().meta({
      description: 'The one of `interfaces` it leaves by; needed without `via` and with a link-local one.',
      examples: ['ext0'],
    }),
    metric: wholeNumber(1, 4_294_967_295)
      .optional()
      .meta({ description: 'Less is preferred.', examples: [100] }),
  },
  'must be a map with the keys to, via and interface',
)

/** Key by key, so that {@link draftRouter} can judge each one although another is broken. */
export const routerShape = {
  id: routerId.meta({
    description: 'A UUID, or letters, digits, ".", "_" and "-", at most 64; never changes.',
    examples: ['r1', 'e2b5c5a4-6a1f-4d0c-9d0f-6f6a3f1c2b7d'],
  }),
  vrid: wholeNumber(1, 255).meta({
    description: 'Virtual router id: the same on every host, different for each router of one HA link.',
    examples: [7],
  }),
  namespace: namespaceName.optional().meta({
    description: 'Network namespace under /run/netns. Unset, keepward-<id>.',
    examples: ['keepward-r1'],
  }),
  ha: ha.meta({ description: 'How the instances of the router hear each other.' }),
  vrrpVersion: z
    .union([z.literal(2), z.literal(3)], 'must be 2 or 3')
    .prefault(3)
    .meta({ description: '2 (RFC 3768) or 3 (RFC 9568); the same on every host.' }),
  advertisementInterval: duration(10, 255_000)
    .prefault('1s')
    .meta({
      description:
        'Heartbeat; a backup takes over after about three of them. VRRPv2: whole seconds; VRRPv3: 10ms to 40.95s in steps of 10ms. The same on every host.',
      examples: ['1s', '100ms'],
    }),
  priority: wholeNumber(1, 254).prefault(100).meta({ description: 'The highest of those alive becomes primary.' }),
  preempt: z
    .union(
      [
        z.literal(false),
        z.strictObject({
          delay: duration(0, 1_000_000).meta({ description: 'How long to wait first.', examples: ['30s'] }),
        }),
      ],
      'must be false or a map with the key delay',
    )
    .transform((value): Preempt => (value === false ? { kind: 'never' } : { kind: 'after', delayMs: value.delay }))
    .prefault(false)
    .meta({
      description:
        'Whether a host that comes back takes the role from a primary of lower priority: a second interruption.',
      examples: [false, { delay: '30s' }],
    }),
  authentication: authenticationSchema,
  marker: hostPrefix.optional().meta({
    description:
      'Address on the HA interface that only the primary holds, the same on every host and fixed for life. Unset, 169.254.0.<vrid>/24, or fe80::5652:<vrid in hexadecimal>/64 for a router with IPv6 only.',
    examples: ['169.254.0.7/24'],
  }),
  track: z
    .array(interfaceName, 'must be a list of interface names')
    .optional()
    .meta({
      description: 'Interfaces whose loss is a fault of this instance; no other one is. Unset, the HA interface.',
      examples: [['ha0']],
    }),
  uniqueAddresses: z.boolean('must be true or false').prefault(true).meta({
    description:
      'False when the networks behind this router are private to it, so that other such routers may use the same addresses on other links.',
  }),
  interfaces: z
    .array(interfaceSchema, 'must be a list of interfaces')
    .min(1, 'must be a list of at least one interface')
    .meta({ description: 'Interfaces of the namespace. Each one that the router names must stand here.' }),
  virtualAddresses: z
    .array(virtualAddress, 'must be a list of maps with the keys address and interface')
    .prefault([])
    .meta({ description: 'Addresses of either family that move with the role.' }),
  announcements: announcementSchema.prefault({}).meta({
    description:
      'Gratuitous ARP and unsolicited neighbour advertisements, which the primary sends for every virtual address.',
  }),
  virtualRoutes: z
    .array(virtualRoute, 'must be a list of maps with the keys to, via and interface')
    .prefault([])
    .meta({ description: 'Routes that move with the role.' }),
  routerAdvertisements: z
    .array(advertisementSchema, 'must be a list of maps with the keys interface and prefixes')
    .prefault([])
    .meta({ description: 'What the primary tells hosts that configure their IPv6 by themselves, by radvd.' }),
  metadata: metadataSchema.optional().meta({
    description: 'A proxy to the metadata service of a cloud, by haproxy.',
  }),
  hooks: z
    .array(hookSchema, 'must be a list of maps with the keys program and user')
    .max(8, 'must be a list of at most 8 hooks')
    .prefault([])
    .meta({ description: 'Programs of yours that hear of each change of role, one after the other and in order.' }),
  flaps: flapsSchema.meta({
    description:
      'When the role is flapping: that shows as a condition, and what hooks and reports tell is held back, 30 s at most.',
  }),
}

export const routerSchema = z.strictObject(routerShape, 'must be a map with the keys id, vrid, ha and interfaces')

export type RouterEntry = z.output<typeof routerSchema>
export type RouteEntry = z.output<typeof virtualRoute>

interface HaEntry {
  readonly interface: string
  readonly advertise: Advertise
}
