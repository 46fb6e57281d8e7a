import { z } from 'zod'
import type { Attach, InterfaceSpec } from '../router/spec.ts'
import { groupOrHostAddress, hostPrefix, interfaceName, macAddress, wholeNumber } from './form.ts'

const attachWanted = 'must be existing or a map with exactly one of the keys bridge, macvlan and vxlan'

const vxlan = z
  .strictObject(
    {
      vni: wholeNumber(1, 16_777_215).meta({ description: 'VXLAN network identifier.', examples: [100] }),
      parent: interfaceName.meta({
        description: 'Interface of the host that carries the packets.',
        examples: ['eth0'],
      }),
      remote: groupOrHostAddress.meta({
        description: 'Address of the other end, or a multicast group.',
        examples: ['192.0.2.2', '239.1.1.1'],
      }),
      port: wholeNumber(1, 65535).prefault(4789).meta({ description: 'UDP port.' }),
    },
    'must be a map with the keys vni, parent, remote and port',
  )
  .meta({ description: 'A VXLAN link of its own.' })

const attach = z
  .union(
    [
      z.literal('existing'),
      z.strictObject({
        bridge: interfaceName.optional().meta({
          description: 'A veth pair whose outer end is a port of this bridge of the host.',
          examples: ['br-ha'],
        }),
        macvlan: interfaceName.optional().meta({
          description: 'A macvlan (bridge mode) on this interface of the host.',
          examples: ['eth1'],
        }),
        vxlan: vxlan.optional(),
      }),
    ],
    attachWanted,
  )
  .transform((value, context): Attach => {
    if (value === 'existing') return { kind: 'existing' }
    const [one, ...more] = attachesOf(value)
    if (one !== undefined && more.length === 0) return one
    context.addIssue({ code: 'custom', message: attachWanted, input: value })
    return z.NEVER
  })

/** One interface of a router's namespace. */
export const interfaceSchema = z
  .strictObject(
    {
      name: interfaceName.meta({ description: 'Name inside the namespace.', examples: ['ha0'] }),
      attach: attach.meta({
        description: 'What the interface is made of. An existing one is made, moved in and removed by somebody else.',
        examples: [
          { bridge: 'br-ha' },
          { macvlan: 'eth1' },
          { vxlan: { vni: 200, parent: 'eth0', remote: '192.0.2.2' } },
          'existing',
        ],
      }),
      addresses: z
        .array(hostPrefix, 'must be a list of addresses with prefix length')
        .prefault([])
        .meta({
          description: 'Addresses that this host holds there whatever its role.',
          examples: [['169.254.192.1/18']],
        }),
      mtu: wholeNumber(576, 65535)
        .optional()
        .meta({
          description: 'Largest packet in bytes. Unset, the kernel decides. Not for existing interfaces.',
          examples: [1500],
        }),
      macAddress: macAddress.optional().meta({
        description: 'Hardware address. Unset, the kernel makes one. Not for existing interfaces.',
        examples: ['02:00:00:00:00:01'],
      }),
      acceptRouterAdvertisements: z.boolean('must be true or false').prefault(false).meta({
        description:
          'Default routes come from the routers of this link (RFC 4861), on the primary and on backups alike; addresses never do.',
      }),
    },
    'must be a map with the keys name and attach',
  )
  .transform((entry): InterfaceSpec => ({
    ...entry,
    mtu: entry.mtu,
    macAddress: entry.macAddress?.toLowerCase(),
  }))

type AttachEntry = Partial<{
  bridge: string | undefined
  macvlan: string | undefined
  vxlan: z.output<typeof vxlan> | undefined
}>

function attachesOf(entry: AttachEntry): Attach[] {
  const found: Attach[] = []
  if (entry.bridge !== undefined) found.push({ kind: 'bridge', bridge: entry.bridge })
  if (entry.macvlan !== undefined) found.push({ kind: 'macvlan', parent: entry.macvlan })
  if (entry.vxlan !== undefined) found.push({ kind: 'vxlan', ...entry.vxlan })
  return found
}
