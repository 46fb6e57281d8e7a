import { addressWord, domainWord, interfaceWord, numberWord, prefixWord } from '../base/words.ts'
import type { AdvertisedPrefix, RouterAdvertisement } from '../router/spec.ts'
import type { Service } from './service.ts'

const configName = 'radvd.conf'
/** Its package makes it; what reads the packets of a network runs as it, without a capability. */
const account = 'radvd'

/**
 * Router advertisements by radvd (radvd.conf(5)), of the primary alone. They come from a virtual link-local address, which hosts keep
 * as their router over a failover. Its farewell (RFC 4861, 6.2.5) would tell them to drop the router that has just moved, perhaps after
 * the first word of the new primary: so it is ended without a chance to speak.
 */
export const radvd: Service = {
  name: 'radvd',
  program: 'radvd',
  configName,
  endSignal: 'SIGKILL',
  plan({ routerAdvertisements }, stance, pathOf) {
    if (stance === 'backup' || routerAdvertisements.length === 0) return undefined
    const config = pathOf(configName)
    return {
      user: account,
      files: new Map([[configName, renderRadvd(routerAdvertisements)]]),
      argv: [
        'radvd',
        '--nodaemon',
        '--username',
        account,
        '--logmethod',
        'stderr_syslog',
        '--config',
        config,
        '--pidfile',
        pathOf('radvd.pid'),
      ],
      check: ['radvd', '--configtest', '--logmethod', 'stderr', '--config', config],
    }
  },
}

/** The text of radvd.conf. */
export function renderRadvd(advertisements: readonly RouterAdvertisement[]): string {
  return advertisements.map(renderInterface).join('')
}

function renderInterface(one: RouterAdvertisement): string {
  // Radvd's own is one interval, after which a lost packet would end it; RFC 8106, 5.1 wants three.
  const dnsLifetime = numberWord(Math.max(3 * one.intervalS, one.lifetimeS), 'lifetime')
  const lines = [
    'AdvSendAdvert on;',
    // It is made, and comes and goes, without radvd.
    'IgnoreIfMissing on;',
    `MaxRtrAdvInterval ${numberWord(one.intervalS, 'interval')};`,
    `MinRtrAdvInterval ${Math.max(3, Math.floor(one.intervalS / 3))};`,
    `AdvDefaultLifetime ${numberWord(one.lifetimeS, 'lifetime')};`,
    `AdvManagedFlag ${onOff(one.managed)};`,
    `AdvOtherConfigFlag ${onOff(one.otherConfig)};`,
    ...(one.mtu === undefined ? [] : [`AdvLinkMTU ${numberWord(one.mtu, 'MTU')};`]),
    `AdvRASrcAddress { ${addressWord(one.source, 6, 'source')}; };`,
    ...one.prefixes.map(renderPrefix),
    ...(one.dnsServers.length === 0
      ? []
      : [
          `RDNSS ${one.dnsServers.map((server) => addressWord(server, 6, 'DNS server')).join(' ')} { AdvRDNSSLifetime ${dnsLifetime}; };`,
        ]),
    ...(one.dnsSearch.length === 0
      ? []
      : [
          `DNSSL ${one.dnsSearch.map((domain) => domainWord(domain, 'domain')).join(' ')} { AdvDNSSLLifetime ${dnsLifetime}; };`,
        ]),
  ]
  return `interface ${interfaceWord(one.interface, 'interface')} {\n${lines.map((line) => `  ${line}\n`).join('')}};\n`
}

function renderPrefix({ prefix, onLink, autonomous, validS, preferredS }: AdvertisedPrefix): string {
  const options = [
    `AdvOnLink ${onOff(onLink)};`,
    `AdvAutonomous ${onOff(autonomous)};`,
    `AdvValidLifetime ${numberWord(validS, 'valid lifetime')};`,
    `AdvPreferredLifetime ${numberWord(preferredS, 'preferred lifetime')};`,
  ]
  return `prefix ${prefixWord(prefix, 'prefix')} { ${options.join(' ')} };`
}

const onOff = (value: boolean): string => (value ? 'on' : 'off')
