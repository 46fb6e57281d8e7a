import { spawn } from 'node:child_process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNamespace, openNamespace } from '../../src/linux/netns.ts'
import { run } from '../../src/linux/run.ts'
import type { FilterEvidence } from '../../src/router/evidence.ts'
import type { RouterSpec } from '../../src/router/spec.ts'
import { ip, RealHostUnderTest } from '../support/real-host.ts'
import { table } from '../support/router.ts'
import { until } from '../support/until.ts'
import { forge, type Forgery } from '../support/vrrp-forger.ts'

let it: RealHostUnderTest
beforeEach(async () => {
  it = await RealHostUnderTest.open()
  await it.host.configure(table([it.spec]))
})
afterEach(async () => {
  await it.end()
})

const perform = (verb: 'ensure-namespace' | 'remove-router') => it.host.perform({ verb, router: it.spec.id })
const ensureFilter = () => it.host.perform({ verb: 'ensure-table', router: it.spec.id, table: 'vrrp' })

async function make(): Promise<void> {
  await perform('ensure-namespace')
  await it.host.perform({ verb: 'ensure-interface', router: it.spec.id, interface: 'ha0' })
  await ensureFilter()
}

async function filter(): Promise<FilterEvidence> {
  const { settings } = await it.host.perform({ verb: 'inspect', router: it.spec.id })
  if (settings.kind !== 'seen') throw new Error('not seen')
  return settings.tables.vrrp
}

async function nft(...words: string[]): Promise<string> {
  using namespace = openNamespace(it.spec.namespace)
  return (await run(['nft', ...words], { namespaceFd: namespace.fd })).stdout
}

/** From within the namespace, as the declared peer: only that it comes in by `lo` gives it away. */
const byLoopback: Forgery = {
  version: 3,
  vrid: 7,
  source: '169.254.192.2',
  destination: '169.254.192.1',
  ttl: 255,
  address: '169.254.0.7',
  interval: 10,
}

test.each([
  ['the table is deleted', ['delete', 'table', 'inet', 'keepward_vrrp']],
  ['its rules are flushed', ['flush', 'chain', 'inet', 'keepward_vrrp', 'input']],
  ['a rule is put before ours', ['insert', 'rule', 'inet', 'keepward_vrrp', 'input', 'accept']],
  ['the whole ruleset is flushed', ['flush', 'ruleset']],
])('the filter is missing once %s, and is made again', async (_, words) => {
  await make()
  const before = await nft('list', 'table', 'inet', 'keepward_vrrp')
  expect(await filter()).toEqual({ kind: 'ready', strangers: [] })
  await nft(...words)
  expect(await filter()).toEqual({ kind: 'missing', failure: undefined })
  await ensureFilter()
  expect(await filter()).toEqual({ kind: 'ready', strangers: [] })
  expect(await nft('list', 'table', 'inet', 'keepward_vrrp')).toBe(before)
})

test('tables of others are none of ours: a change of them is no reason to make the filter again', async () => {
  await make()
  await nft('add', 'table', 'inet', 'theirs')
  expect(await filter()).toMatchObject({ kind: 'ready' })
  await nft('delete', 'table', 'inet', 'keepward_vrrp')
  await ensureFilter()
  expect(await nft('list', 'tables')).toBe('table inet theirs\ntable inet keepward_vrrp\n')
})

test('removing a router from a namespace of somebody else takes our table along and leaves theirs', async () => {
  await createNamespace(it.spec.namespace)
  await make()
  await nft('add', 'table', 'inet', 'theirs')
  await perform('remove-router')
  expect(await nft('list', 'tables')).toBe('table inet theirs\n')
})

test('a stranger is shown by source, interface and number, also on the loopback, and with a set that is full', async () => {
  await make()
  await forge(it.spec.namespace, 'lo', 3, [byLoopback, { ...byLoopback, source: '10.1.1.1' }])
  const seen = await filter()
  if (seen.kind !== 'ready') throw new Error('not ready')
  expect(seen.strangers.map((one) => `${one.source} ${one.interface} ${String(one.packets)}`).sort()).toEqual([
    '10.1.1.1 lo 3',
    '169.254.192.2 lo 3',
  ])
  const many = Array.from({ length: 80 }, (_, at) => ({ ...byLoopback, source: `10.2.2.${String(at + 1)}` }))
  const heard = listen()
  await heard.ready
  await forge(it.spec.namespace, 'lo', 2, many)
  const full = await filter()
  expect(full.kind === 'ready' && full.strangers.length).toBe(64)
  expect(await heard.stop()).toBe(0)
})

test('of a declared peer a raw socket hears what has the hop limit, near or routed, and of a link without declared peers all with 255', async () => {
  await make()
  const outside = `${it.spec.namespace}x`
  await createNamespace(outside)
  ip('link', 'add', 'ha-x', 'netns', outside, 'type', 'veth', 'peer', 'name', `kwx${it.number}`)
  ip('link', 'set', `kwx${it.number}`, 'master', `kwh${it.number}`, 'up')
  ip('-n', outside, 'link', 'set', 'ha-x', 'up')
  const [link] = JSON.parse(ip('-n', it.spec.namespace, '-j', 'link', 'show', 'dev', 'ha0')) as { address: string }[]
  const sent = (source: string, ttl: number): Forgery => ({
    ...byLoopback,
    source,
    ttl,
    destinationMac: link?.address ?? '',
  })
  const hears = async (advertise: RouterSpec['advertise'], ...forgeries: readonly Forgery[]) => {
    await it.host.configure(table([{ ...it.spec, advertise }]))
    await ensureFilter()
    const heard = listen()
    await heard.ready
    await forge(outside, 'ha-x', 1, forgeries)
    return heard.stop()
  }
  const source = '169.254.192.1'
  const unicast = { kind: 'unicast', source, peers: ['169.254.192.2', '10.1.1.1'], minTtl: 250 } as const
  expect(await hears(unicast, sent('169.254.192.2', 255))).toBe(1)
  expect(await hears(unicast, sent('169.254.192.2', 254), sent('169.254.192.3', 255))).toBe(0)
  expect(await hears(unicast, sent('10.1.1.1', 250), sent('10.1.1.1', 249), sent('10.1.1.2', 250))).toBe(1)
  const multicast = { kind: 'multicast', peers: undefined } as const
  expect(await hears(multicast, sent('169.254.192.3', 255))).toBe(1)
  expect(await hears(multicast, sent('169.254.192.3', 254), sent('10.1.1.1', 255))).toBe(0)
})

test('a raw socket hears no stranger while filters are put in place of each other, and hears him without', async () => {
  await make()
  const heard = listen()
  await heard.ready
  const flood = forge(it.spec.namespace, 'lo', 60, Array<Forgery>(20).fill(byLoopback))
  for (let round = 0; round < 20; round += 1) {
    const peers = [`169.254.192.${String(2 + (round % 2))}`]
    await it.host.configure(table([{ ...it.spec, advertise: { ...it.spec.advertise, peers } }]))
    await ensureFilter()
  }
  await flood
  expect(await heard.stop()).toBe(0)
  const bare = listen()
  await bare.ready
  await nft('delete', 'table', 'inet', 'keepward_vrrp')
  await forge(it.spec.namespace, 'lo', 2, [byLoopback])
  expect(await bare.stop()).toBe(2)
})

test('a filter that cannot be had fails no operation, and the look says why', async () => {
  await perform('ensure-namespace')
  // A table with an owner is for him alone to change, for as long as he lives (nft(8), flags owner).
  const owner = spawn('ip', ['netns', 'exec', it.spec.namespace, 'nft', '-i'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise((resolve) => owner.once('exit', resolve))
  try {
    owner.stdin.write('add table inet keepward_vrrp { flags owner; }\n')
    await until('the table is there', async () => (await nft('list', 'tables')).includes('keepward_vrrp'))
    await ensureFilter()
    expect(await filter()).toMatchObject({
      kind: 'missing',
      failure: { why: expect.stringContaining('Operation not permitted') as string },
    })
  } finally {
    owner.stdin.end()
    await ended
  }
  await ensureFilter()
  expect(await filter()).toMatchObject({ kind: 'ready' })
})

/** A raw socket of protocol 112 in the router's namespace, as keepalived has one; how many packets it got. */
function listen(): { readonly ready: Promise<unknown>; stop(): Promise<number> } {
  const words = ['netns', 'exec', it.spec.namespace, 'perl', '-e', listener]
  const child = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = new Promise((resolve) => child.once('close', resolve))
  return {
    ready: until('it listens', () => said.startsWith('ready')),
    stop: async () => {
      child.stdin.end()
      await ended
      return Number(said.split('\n')[1])
    },
  }
}

/** Until the end of stdin, and then what still waits. */
const listener = `
  $| = 1;
  socket(my $raw, 2, 3, 112) or die "socket: $!";
  print "ready\\n";
  my $got = 0;
  for (my $more = 1; $more;) {
    my $want = '';
    vec($want, fileno($raw), 1) = 1;
    vec($want, 0, 1) = 1;
    select $want, undef, undef, undef;
    $more = !vec($want, 0, 1);
    while (1) {
      my $waits = '';
      vec($waits, fileno($raw), 1) = 1;
      last unless select $waits, undef, undef, 0;
      recv $raw, my $packet, 2000, 0;
      $got += 1;
    }
  }
  print "$got\\n";
`
