import { z } from 'zod'
import { absolutePath, groupName, hostAddress, identifier, userName, wholeNumber } from './form.ts'

/** A proxy by which instances behind the router reach the metadata service of their cloud. */
export const metadataSchema = z.strictObject(
  {
    on: z.enum(['primary', 'always'], 'must be primary or always').prefault('primary').meta({
      description: 'Whether it runs on the primary alone, or on each host all the time.',
    }),
    addresses: z
      .array(hostAddress, 'must be a list of IP addresses')
      .min(1, 'must be a list of at least one IP address')
      .prefault(['169.254.169.254'])
      .meta({
        description:
          'Where instances ask, each one of the virtual addresses of the router, such as 169.254.169.254/32; answered on its interface alone.',
      }),
    port: wholeNumber(1, 65535).prefault(80).meta({ description: 'TCP port on which they ask.' }),
    socket: absolutePath(100).meta({
      description: 'Unix socket of the metadata service.',
      examples: ['/var/lib/neutron/metadata_proxy'],
    }),
    user: userName.prefault('haproxy').meta({ description: 'Whom it runs as; it must be allowed to open the socket.' }),
    group: groupName.prefault('haproxy').meta({ description: 'Its group.' }),
    networkId: identifier.optional().meta({
      description: 'Told to the service as X-Neutron-Network-ID; the router’s id is X-Neutron-Router-ID.',
      examples: ['0b7f3c1e-3f0a-4c43-9d7e-5b5f4b1f9f10'],
    }),
  },
  'must be a map with the key socket',
)

export type MetadataEntry = z.output<typeof metadataSchema>
