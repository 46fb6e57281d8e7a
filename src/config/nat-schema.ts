import { z } from 'zod'
import { hostAddress, interfaceName, network } from './form.ts'

const from = z
  .array(network, 'must be a list of networks')
  .min(1, 'must be a list of at least one network')
  .meta({
    description: 'Networks behind the router whose hosts are translated.',
    examples: [['10.0.0.0/24']],
  })

const source = z.strictObject(
  {
    from,
    to: hostAddress.meta({
      description: 'The virtual address that they come from when they leave by its interface.',
      examples: ['203.0.113.10'],
    }),
  },
  'must be a map with the keys from and to',
)

const masquerade = z.strictObject(
  {
    from,
    interface: interfaceName.meta({
      description: 'They come from whatever address this interface has when they leave by it.',
      examples: ['ext0'],
    }),
  },
  'must be a map with the keys from and interface',
)

const floating = z.strictObject(
  {
    outside: hostAddress.meta({
      description: 'One of the virtual addresses of the router.',
      examples: ['203.0.113.20'],
    }),
    inside: hostAddress.meta({ description: 'The host that has it, both ways.', examples: ['10.0.0.5'] }),
  },
  'must be a map with the keys outside and inside',
)

/** Address translation of what goes through the router. */
export const natSchema = z.strictObject(
  {
    floating: z
      .array(floating, 'must be a list of maps with the keys outside and inside')
      .prefault([])
      .meta({ description: 'One address outside for one inside, both ways. They go before source and masquerade.' }),
    source: z
      .array(source, 'must be a list of maps with the keys from and to')
      .prefault([])
      .meta({ description: 'Many addresses inside that share one outside. The first that fits counts.' }),
    masquerade: z.array(masquerade, 'must be a list of maps with the keys from and interface').prefault([]).meta({
      description:
        'As source, where the address is not known beforehand. A connection ends with a failover unless that address moves too: prefer source.',
    }),
  },
  'must be a map with the keys floating, source and masquerade',
)

export type NatEntry = z.output<typeof natSchema>
