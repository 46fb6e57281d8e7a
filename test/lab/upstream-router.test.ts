import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientNamespace, fabricNamespace } from '../../src/lab/topology.ts'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { capture, type Capture } from '../support/capture.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest
let upstream: ChildProcess | undefined
const atSwitch = new Map<string, Capture>()

/** The outer client plays the router of the provider, with an address beyond its link. */
const beyond = '2001:db8:ffff::1'

beforeAll(async () => {
  it = await labFor('upstream', {
    config: (text) =>
      text.replace('attach: { bridge: br-ext } }', 'attach: { bridge: br-ext }, acceptRouterAdvertisements: true }'),
    prepare: async ({ shape, hosts }) => {
      for (const { name } of hosts) atSwitch.set(name, await capture(fabricNamespace(shape.name), `ext-${name}`))
      const client = clientNamespace(shape.name)
      ip('-n', client, 'address', 'add', `${beyond}/128`, 'dev', 'lo')
      ip('netns', 'exec', client, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1')
      const file = join(shape.directory, 'upstream.conf')
      writeFileSync(
        file,
        'interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix 2001:db8:1::/64 {}; };\n',
      )
      using namespace = openNamespace(client)
      upstream = inNamespace(namespace.fd, () =>
        spawn('radvd', ['-n', '-C', file, '-p', `${file}.pid`, '-m', 'stderr'], { stdio: 'ignore' }),
      )
    },
  })
})
afterAll(async () => {
  for (const one of atSwitch.values()) one[Symbol.dispose]()
  upstream?.kill('SIGKILL')
  await it.down()
})

const defaultRoute = (host: string): string => it.ip(host, 'r1', '-6', 'route', 'show', 'default', 'proto', 'ra')

/** Also where it forwards, and as a backup without an address of its own. */
const knowsUpstream = (host: string) =>
  until(`${host} has the default route`, () => /^default via fe80::\S+ dev ext0 /.test(defaultRoute(host)), 20_000)

const reachesBeyond = (host: string) =>
  until(`${host} reaches what is beyond`, () => {
    ip('netns', 'exec', it.namespace(host), 'ping', '-n', '-q', '-c1', '-W1', '-I', '2001:db8:1::1', beyond)
    return true
  })

test('a router takes its default route from the router of its link in both roles, no address, and the backup stays silent', async () => {
  const primary = await it.settled()
  for (const host of ['h1', 'h2']) await knowsUpstream(host)
  await reachesBeyond(primary)
  expect(it.addresses(primary, 'ext0').toSorted()).toEqual(['198.51.100.1/24', '2001:db8:1::1/64'])
  const backup = it.other(primary)
  expect(it.addresses(backup, 'ext0')).toEqual([])
  const mac = /link\/ether (\S+)/.exec(it.ip(backup, 'r1', 'link', 'show', 'dev', 'ext0'))?.[1]
  expect(atSwitch.get(backup)?.frames.filter(({ from }) => from === mac)).toEqual([])
})

test.each([1, 2, 3])('with both agents dead, the new primary has it too: failover %i', async () => {
  const primary = await it.settled()
  const heir = it.other(primary)
  await knowsUpstream(heir)
  for (const host of [primary, heir]) await it.lab.killAgent(host)
  await it.lab.killKeepalived(primary, 'r1')
  await until('the other has the address', () => it.addresses(heir, 'ext0').includes('2001:db8:1::1/64'))
  await reachesBeyond(heir)
  for (const host of [primary, heir]) it.lab.startAgent(host)
})
