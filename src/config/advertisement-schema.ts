import { z } from 'zod'
import { domainName, duration, hostAddress, interfaceName, ipv6Network, wholeNumber } from './form.ts'

const yesOrNo = z.boolean('must be true or false')
/** Seven digits of seconds: 115 days. */
const lifetime = duration(0, 9_999_999_000)

const prefix = z.strictObject(
  {
    prefix: ipv6Network.meta({
      description: 'IPv6 network of the link; 64 bits long for hosts that make addresses of it.',
      examples: ['2001:db8:1::/64'],
    }),
    autonomous: yesOrNo.prefault(true).meta({ description: 'Hosts make addresses of it by themselves (SLAAC).' }),
    onLink: yesOrNo.prefault(true).meta({ description: 'Its addresses are reached without the router.' }),
    validLifetime: lifetime.prefault('86400s').meta({ description: 'How long such addresses work.' }),
    preferredLifetime: lifetime
      .prefault('14400s')
      .meta({ description: 'How long new connections are made from them; at most the valid lifetime.' }),
  },
  'must be a map with the key prefix',
)

/** What the primary tells the hosts of one link (RFC 4861, RFC 8106). */
export const advertisementSchema = z.strictObject(
  {
    interface: interfaceName.meta({
      description:
        'The one of `interfaces` whose link it is. A link-local virtual address on it, such as fe80::1/64, is what hosts keep as their router over a failover.',
      examples: ['int0'],
    }),
    prefixes: z
      .array(prefix, 'must be a list of maps with the key prefix')
      .prefault([])
      .meta({ description: 'Networks of the link.' }),
    mtu: wholeNumber(1280, 65_535)
      .optional()
      .meta({
        description: 'MTU that hosts are to use; at most that of the interface, where it says one.',
        examples: [1400],
      }),
    lifetime: duration(0, 9_000_000).prefault('1800s').meta({
      description: 'How long hosts keep the router as a default one, at least the interval; 0s: they do not.',
    }),
    interval: duration(4000, 1_800_000)
      .prefault('30s')
      .meta({ description: 'At most so long between two advertisements that nobody asked for.' }),
    managed: yesOrNo.prefault(false).meta({ description: 'Hosts ask DHCPv6 for addresses.' }),
    otherConfig: yesOrNo.prefault(false).meta({ description: 'Hosts ask DHCPv6 for everything but addresses.' }),
    dnsServers: z
      .array(hostAddress, 'must be a list of IP addresses')
      // As many as radvd takes.
      .max(3, 'must be a list of at most 3 IP addresses')
      .prefault([])
      .meta({ description: 'IPv6 addresses of DNS servers (RDNSS).', examples: [['2001:db8:1::53']] }),
    dnsSearch: z
      .array(domainName, 'must be a list of domain names')
      .prefault([])
      .meta({
        description: 'Domains that hosts search names in (DNSSL); what one packet holds, 1216 bytes.',
        examples: [['example.net']],
      }),
  },
  'must be a map with the keys interface and prefixes',
)

export type AdvertisementEntry = z.output<typeof advertisementSchema>
