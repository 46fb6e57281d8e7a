import { anyAddress, interfaceWord, nameWord, pathWord, portWord } from '../base/words.ts'
import type { MetadataProxy, RouterId } from '../router/spec.ts'
import type { Service } from './service.ts'

const configName = 'metadata.cfg'

/**
 * The metadata proxy: haproxy (its configuration manual, 2.6) in the router's namespace, which asks a service on a Unix socket and tells it
 * which router and network the question came through. What a client says of that is taken out of its request.
 */
export const metadata: Service = {
  name: 'metadata',
  program: 'haproxy',
  configName,
  endSignal: 'SIGTERM',
  plan({ id, metadata: proxy }, stance, pathOf) {
    if (proxy === undefined || (proxy.on === 'primary' && stance === 'backup')) return undefined
    const config = pathOf(configName)
    return {
      files: new Map([[configName, renderProxy(id, proxy)]]),
      // Neither a daemon of its own making nor quiet about what ends it.
      argv: ['haproxy', '-db', '-f', config],
      user: proxy.user,
      check: ['haproxy', '-c', '-f', config],
    }
  },
}

/** What the service believes, so that no client may say it: with underscores neither, which many servers take for the same. */
const trusted = [
  'X-Neutron-Router-ID',
  'X-Neutron-Network-ID',
  'X-Forwarded-For',
  'X-Instance-ID',
  'X-Instance-ID-Signature',
  'X-Tenant-ID',
]

/** haproxy keeps names of headers in small letters. */
const anySpelling = (header: string): string => `^${header.toLowerCase().replaceAll('-', '[-_]')}$ -m reg`

/** The text of haproxy.cfg. */
export function renderProxy(id: RouterId, proxy: MetadataProxy): string {
  const { listen, port, socket, user, group, networkId } = proxy
  const lines = [
    'global',
    '  log /dev/log local0 notice',
    `  user ${nameWord(user, 'user')}`,
    `  group ${nameWord(group, 'group')}`,
    '  maxconn 1024',
    '  hard-stop-after 2s',
    'defaults',
    '  mode http',
    '  log global',
    '  timeout connect 5s',
    '  timeout client 32s',
    '  timeout server 32s',
    '  timeout http-request 10s',
    'listen metadata',
    ...listen.map(
      (one) =>
        `  bind ${anyAddress(one.address, 'address')}:${portWord(port, 'port')} interface ${interfaceWord(one.interface, 'interface')}`,
    ),
    ...trusted.map((header) => `  http-request del-header ${anySpelling(header)}`),
    `  http-request set-header X-Neutron-Router-ID ${nameWord(id, 'router id')}`,
    ...(networkId === undefined
      ? []
      : [`  http-request set-header X-Neutron-Network-ID ${nameWord(networkId, 'network id')}`]),
    '  option forwardfor',
    `  server service unix@${pathWord(socket, 'socket')}`,
  ]
  return `${lines.join('\n')}\n`
}
