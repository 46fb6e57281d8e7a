import { describe, expect, test } from 'vitest'
import { KeepwardError } from '../base/error.ts'
import { loadConfig } from '../config/load.ts'
import { examine, ok, warning, type Check } from './check.ts'
import { judgeLatency, judgeSpace } from './disk.ts'
import { judgePropagation } from './kernel.ts'
import { judgeOpenFiles } from './limits.ts'
import { bridgeFilter } from './network.ts'
import { judgeCapabilities, judgeUidMap } from './privilege.ts'
import { advertisement, routerSpec, signed } from '../../test/support/router.ts'
import { judgeKeepalived, judgeManagers, judgePrograms, judgeService } from './software.ts'
import type { Subject } from './subject.ts'

const subject: Subject = {
  root: true,
  config: {
    file: '/etc/keepward/agent.yaml',
    state: { kind: 'absent' },
    settings: loadConfig('version: 1\nrouters: []\n', 'defaults', 'host-a'),
  },
  scratch: { kind: 'none', reason: 'no ip' },
}

const check = (name: string, look: Check['look'], needs?: Check['needs']): Check => ({
  name,
  wanted: 'w',
  look,
  ...(needs === undefined ? {} : { needs }),
})

describe('examine()', () => {
  test('makes every check, also after one that throws', async () => {
    const checks = [
      check('a', () => ok('fine')),
      check('b', () => {
        throw new KeepwardError('keepalived-missing', 'keepalived is not installed', { hint: 'install it' })
      }),
      check('c', () => Promise.resolve(warning('slow', 'hurry'))),
    ]
    expect(await examine(checks, subject)).toEqual({
      abandoned: false,
      findings: [
        { name: 'a', wanted: 'w', status: 'ok', found: 'fine', fix: undefined },
        {
          name: 'b',
          wanted: 'w',
          status: 'failed',
          found: 'keepalived is not installed',
          fix: 'install it',
        },
        { name: 'c', wanted: 'w', status: 'warning', found: 'slow', fix: 'hurry' },
      ],
    })
  })

  test('gives up a check that hangs, and makes the next', async () => {
    const checks = [check('hangs', () => new Promise(() => undefined)), check('next', () => ok('fine'))]
    const { findings, abandoned } = await examine(checks, subject, 20)
    expect(abandoned).toBe(true)
    expect(findings.map(({ status, found }) => [status, found])).toEqual([
      ['failed', 'no answer within 0.02 s'],
      ['ok', 'fine'],
    ])
  })

  test('skips what this user may not read', async () => {
    const denied = check('a', () => {
      throw Object.assign(new Error('no entry'), { code: 'EACCES' })
    })
    const status = async (root: boolean) => (await examine([denied], { ...subject, root })).findings[0]?.status
    expect([await status(true), await status(false)]).toEqual(['failed', 'unknown'])
  })

  test('says which checks it skips, and why', async () => {
    const look = () => ok('fine')
    const checks = [check('any', look), check('root', look, 'root'), check('scratch', look, 'scratch')]
    const found = async (of: Subject) => (await examine(checks, of)).findings.map((one) => `${one.status} ${one.found}`)
    expect(await found({ ...subject, root: false })).toEqual([
      'ok fine',
      'unknown skipped: needs root',
      'unknown skipped: needs root',
    ])
    expect(await found(subject)).toEqual(['ok fine', 'ok fine', 'unknown skipped: there is no namespace to try it in'])
  })
})

describe('judgeCapabilities()', () => {
  const status = (digits: string) => `Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t${digits}\n`

  test.each([
    ['000001ffffffffff', true, 'ok', 'has them'],
    ['0000000000203801', true, 'ok', 'has them'],
    ['0000000000203800', true, 'warning', 'lacks CHOWN (gives the control socket to its group)'],
    ['0000000000203001', true, 'failed', 'lacks NET_BROADCAST (hears all namespaces)'],
    ['0000000000203001', false, 'unknown', 'not root: lacks NET_BROADCAST (hears all namespaces)'],
    ['x', true, 'unknown', '/proc/self/status names none'],
  ])('of %s, root %s, is %s', (digits, root, wanted, found) => {
    expect(judgeCapabilities(status(digits), root)).toMatchObject({ status: wanted, found })
  })
})

test.each([
  ['         0          0 4294967295\n', 'ok'],
  ['         0     100000      65536\n', 'warning'],
  ['         0          0      65536\n     65536     200000      65536\n', 'warning'],
])('judgeUidMap() of %j is %s', (map, status) => {
  expect(judgeUidMap(map).status).toBe(status)
})

test.each([
  [
    'shared',
    '27 1 254:0 / / rw - ext4 /dev/vda rw\n42 27 254:0 /run/netns /run/netns rw shared:1 - tmpfs t rw',
    'unknown',
  ],
  [
    'slave, as ip netns exec makes it',
    '27 1 254:0 / / rw master:1 - ext4 x rw\n42 27 0:1 / /run/netns rw master:2 - tmpfs t rw',
    'failed',
  ],
  ['shared again, as PrivateMounts= makes it', '42 27 0:1 / /run rw shared:9 master:2 - tmpfs t rw', 'failed'],
  [
    'covered by a later mount',
    '42 27 0:1 / /run/netns rw shared:9 - tmpfs t rw\n43 42 0:2 / /run/netns rw - tmpfs t rw',
    'failed',
  ],
  [
    'of another directory',
    '27 1 254:0 / / rw - ext4 /dev/vda rw\n42 27 0:1 / /run/netns2 rw shared:9 - tmpfs t rw',
    'failed',
  ],
])('judgePropagation() of a mount that is %s', (_what, mountinfo, status) => {
  expect(judgePropagation(mountinfo, 'fix').status).toBe(status)
})

test.each([
  ['1024', 320, 0, 'ok', '1024, 320 routers and 0 services here'],
  ['1024', 321, 0, 'failed', '1024, 321 routers and 0 services here'],
  ['1024', 80, 240, 'ok', '1024, 80 routers and 240 services here'],
  ['1024', 81, 240, 'failed', '1024, 81 routers and 240 services here'],
  ['unlimited', 1, 1, 'ok', 'unlimited, 1 router and 1 service here'],
] as const)(
  'judgeOpenFiles() of %s for %i routers with %i services is %s',
  (limit, routers, services, status, found) => {
    const limits = `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${limit}                 4096                 files     \n`
    expect(judgeOpenFiles(limits, { routers, services })).toMatchObject({ status, found })
  },
)

test('bridgeFilter() warns when bridged packets pass the firewall', () => {
  expect(bridgeFilter(() => undefined).status).toBe('ok')
  expect(bridgeFilter(() => '0').status).toBe('ok')
  expect(bridgeFilter((key) => (key === 'bridge-nf-call-iptables' ? '1' : '0'))).toMatchObject({
    status: 'warning',
    found: 'bridge-nf-call-iptables: it may drop VRRP and routed packets between bridge ports',
  })
})

test.each([
  [undefined, true, 'ok'],
  ['disabled', true, 'ok'],
  ['masked', true, 'ok'],
  ['not there', false, 'ok'],
  ['enabled', false, 'ok'],
  ['enabled', true, 'warning'],
  ['enabled-runtime', true, 'warning'],
])('judgeService() of a service that is %s, with a config: %s, is %s', (state, configured, status) => {
  expect(judgeService(state, configured).status).toBe(status)
})

describe('judgeManagers()', () => {
  const settings = (files: Readonly<Record<string, string>>) => (directory: string) => files[directory] ?? ''

  test('is ok when none runs', () => {
    expect(judgeManagers(new Set(['systemd', 'node']), settings({})).status).toBe('ok')
  })

  test('warns of each that runs and may take our interfaces', () => {
    const answer = judgeManagers(new Set(['systemd-network', 'NetworkManager']), settings({}))
    expect(answer).toMatchObject({
      status: 'warning',
      found: 'systemd-networkd and NetworkManager runs and may take them, their addresses and their bridge',
    })
  })

  test('is ok once they are told to leave them alone, as its fix says', () => {
    const files = {
      '/etc/systemd/network': '[Match]\nName=kw*\n\n[Link]\nUnmanaged=yes\n',
      '/etc/NetworkManager/conf.d': '[keyfile]\nunmanaged-devices=mac:00:00:00:00:00:01;interface-name:kw*\n',
    }
    expect(judgeManagers(new Set(['systemd-network', 'NetworkManager']), settings(files)).status).toBe('ok')
  })
})

test.each([
  ['65536 bytes (66 kB, 64 KiB) copied, 0.0164 s, 4.0 MB/s', 'ok', '1.0 ms each in /s'],
  ['65536 bytes (66 kB, 64 KiB) copied, 2.1e-05 s, 3.1 GB/s', 'ok', '0.0 ms each in /s'],
  ['65536 bytes (66 kB, 64 KiB) copied, 0.48 s, 137 kB/s', 'warning', '30.0 ms each in /s'],
  ['dd: something else', 'unknown', 'dd says dd: something else'],
])('judgeLatency() of %j is %s', (said, status, found) => {
  expect(judgeLatency(`16+0 records in\n16+0 records out\n${said}\n`, '/s')).toMatchObject(
    status === 'unknown' ? { status } : { status, found },
  )
})

test.each([
  ['125000 4096\n', 'ok', '512 MB in /s'],
  ['124999 4096\n', 'warning', '511 MB in /s'],
  ['1000 4096\n', 'failed', '4 MB in /s'],
])('judgeSpace() of %j is %s', (said, status, found) => {
  expect(judgeSpace(said, '/s')).toMatchObject({ status, found })
})

test('judgePrograms() names what a router wants and the host has not', () => {
  const advertising = routerSpec({ routerAdvertisements: [advertisement] })
  const none = () => true
  expect(judgePrograms([routerSpec()], none)).toEqual({ status: 'ok', found: 'no router wants one' })
  expect(judgePrograms([advertising, advertising], () => false)).toEqual({ status: 'ok', found: 'radvd' })
  expect(judgePrograms([advertising], none)).toEqual({ status: 'failed', found: 'no radvd', fix: 'apt install radvd' })
})

test('judgeKeepalived() fails when routers want signed adverts that this version has not', () => {
  const features = { version: { major: 2, minor: 2, patch: 7 }, options: new Set(['VRRP_AUTH']), dumpSignal: 36 }
  const [plain, signing] = [routerSpec(), routerSpec({ authentication: signed })]
  expect(judgeKeepalived(features, [plain])).toEqual({ status: 'ok', found: '2.2.7 with JSON (signal 36)' })
  expect(judgeKeepalived(features, [plain, signing])).toMatchObject({
    status: 'failed',
    found: '2.2.7 with JSON (signal 36); it has no hmac, which r1 want',
    fix: expect.stringContaining('install keepalived 2.4.3 or newer') as string,
  })
  const modern = { ...features, version: { major: 2, minor: 4, patch: 3 } }
  expect(judgeKeepalived(modern, [signing]).status).toBe('ok')
})
