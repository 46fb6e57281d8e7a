import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { changeBetween } from '../../src/keepalived/meaning.ts'
import { readConfig } from '../../src/keepalived/config-file.ts'
import { reloadKeepalived, viewKeepalived } from '../../src/keepalived/process.ts'
import { addressChanges, type Host, marker, Pair, prefix, until } from './keepalived-pair.ts'

const held = [`${marker} ha0`, '192.0.2.1/24 qr0', '2001:db8::1/64 qr0']

async function childOf(host: Host): Promise<number> {
  const view = await viewKeepalived(host.home, host.running())
  if (view.kind !== 'running' || view.childPid === undefined) throw new Error('no child')
  return view.childPid
}

test('two hosts elect the higher priority, and each says what its kernel says', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  expect(await pair.a.addresses()).toEqual(held)
  expect(await pair.b.addresses()).toEqual([])
  expect(await pair.a.ask()).toMatchObject({ says: 'primary', addressesSet: true, effectivePriority: 100 })
  expect(await pair.b.ask()).toMatchObject({ says: 'backup', addressesSet: false, primaryPriority: 100 })
  expect((await pair.b.ask()).stats.advertsRefused).toBe(0)
})

test('the respawned child clears the addresses of the one that was killed, and the peer takes over', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  const child = await childOf(pair.a)
  process.kill(child, 'SIGKILL')
  await until('the addresses are gone', async () => (await pair.a.addresses()).length === 0)
  await until('b is primary', () => pair.b.isPrimary())
  expect(await childOf(pair.a)).not.toBe(child)
  expect(await pair.a.ask()).toMatchObject({ says: 'backup', primaryPriority: 50 })
})

test('the addresses stay when parent and child are killed at once, and the peer takes over', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  const child = await childOf(pair.a)
  pair.a.running().signal('SIGSTOP')
  process.kill(child, 'SIGKILL')
  pair.a.running().signal('SIGKILL')
  await until('both are gone', async () => (await viewKeepalived(pair.a.home, pair.a.process)).kind === 'absent')
  await until('b is primary', () => pair.b.isPrimary())
  expect(await pair.a.addresses()).toEqual(held)
})

test('a reload keeps the marker in place, with unchanged addresses and with addresses changed on one host only', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  const { a } = pair
  const before = await readConfig(a.home)
  const changes = await addressChanges(a, async () => {
    await reloadKeepalived(a.home, a.running())
    await a.ask()
    const after = await a.install({ virtualAddresses: [{ ...prefix('192.0.2.2/24'), interface: 'qr0' }] })
    expect(changeBetween(before ?? '', after)).toBe('hitless')
    await reloadKeepalived(a.home, a.running())
    await until('the new address is there', async () => (await a.addresses()).includes('192.0.2.2/24 qr0'))
    await a.ask()
  })
  expect(changes.toSorted()).toEqual(['+192.0.2.2/24', '-192.0.2.1/24', '-2001:db8::1/64'])
  expect(await a.ask()).toMatchObject({ says: 'primary' })
  expect(await pair.b.ask()).toMatchObject({ says: 'backup' })
  // b still has the old list: with one changed address inside virtual_ipaddress both would be primary now.
  expect(pair.hints).toEqual(expect.not.arrayContaining(['primary 50']))
})

test('a tracked link that goes down is a fault, and the peer takes over', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  await pair.port(pair.a, 'down')
  await until('a has lost its marker', async () => !(await pair.a.isPrimary()))
  expect(await pair.a.ask()).toMatchObject({ says: 'fault', addressesSet: false })
  await until('b is primary', () => pair.b.isPrimary())
  await until('the fifo said so', () => pair.hints.includes('fault 100'))
  await pair.port(pair.a, 'up')
  await until('a is backup', async () => (await pair.a.ask()).says === 'backup')
  expect(await pair.b.isPrimary()).toBe(true)
})

test('an interface that is not tracked causes no fault: down, up, without its addresses and routes, deleted', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  const { a } = pair
  const changes = await addressChanges(a, async () => {
    await a.ip('link', 'set', 'qr0', 'down')
    await a.ip('link', 'set', 'qr0', 'up')
    await a.ip('address', 'flush', 'dev', 'qr0')
    await a.ip('route', 'flush', 'dev', 'qr0')
    expect(await a.ask()).toMatchObject({ says: 'primary' })
    await a.ip('link', 'delete', 'qr0')
    expect(await a.ask()).toMatchObject({ says: 'primary' })
  })
  expect(changes).not.toContain(`-${marker}`)
  expect(pair.hints).toEqual(expect.not.arrayContaining(['fault 100']))
  expect(await pair.b.ask()).toMatchObject({ says: 'backup', primaryPriority: 100 })
})

test('the HA interface causes no fault either when it is not tracked', async () => {
  await using pair = await Pair.up()
  await pair.elect({ trackedInterfaces: [] })
  await pair.port(pair.a, 'down')
  await until('b is primary', () => pair.b.isPrimary())
  expect(await pair.a.ask()).toMatchObject({ says: 'primary' })
  await pair.port(pair.a, 'up')
  await until('one is primary', async () => (await pair.a.isPrimary()) !== (await pair.b.isPrimary()))
  expect(pair.hints).toEqual(expect.not.arrayContaining(['fault 100']))
})

test('a tracked marker that is deleted behind the back of keepalived makes it backup, and somebody takes over', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  const { a, b } = pair
  await a.ip('address', 'delete', marker, 'dev', 'ha0')
  await until('a says so', () => pair.hints.includes('backup 100'))
  await until('one is primary again', async () => (await a.isPrimary()) !== (await b.isPrimary()))
  expect(pair.hints).toEqual(expect.not.arrayContaining(['fault 100']))
})

test('a reload brings back a route that vanished, not an address', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  const { a } = pair
  await a.ip('address', 'delete', '2001:db8::1/64', 'dev', 'qr0')
  await a.ip('route', 'delete', '198.51.100.0/24')
  await reloadKeepalived(a.home, a.running())
  await until('the route is back', async () => (await a.ip('route', 'show', 'protocol', '152')) !== '')
  expect(await a.addresses()).toEqual([`${marker} ha0`, '192.0.2.1/24 qr0'])
  expect(await a.ask()).toMatchObject({ says: 'primary' })
})

test('a cut HA link makes both primary, and its healing the higher one', async () => {
  await using pair = await Pair.up()
  await pair.elect()
  await pair.cut(pair.b)
  await until('both are primary', async () => (await pair.a.isPrimary()) && (await pair.b.isPrimary()))
  expect((await pair.b.ask()).says).toBe('primary')
  await pair.heal(pair.b)
  await until('b yields', async () => !(await pair.b.isPrimary()))
  expect(await pair.a.isPrimary()).toBe(true)
})

test('two hosts that start as their HA link comes up are never both primary (LP#1597461)', async () => {
  for (const [first, second] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    await using pair = await Pair.up({ haLinkUp: false })
    await Promise.all([pair.port(pair.a, 'up'), pair.port(pair.b, 'up')])
    await pair[first].start()
    await pair[second].start()
    let both = 0
    await until('one is primary', async () => {
      const [a, b] = await Promise.all([pair.a.isPrimary(), pair.b.isPrimary()])
      if (a && b) both += 1
      return a || b
    })
    await pair.b.ask()
    expect(both).toBe(0)
    expect([await pair.a.isPrimary(), await pair.b.isPrimary()].filter(Boolean)).toHaveLength(1)
  }
})

test('vrrp_startup_delay holds the first election back and none after it', async () => {
  await using pair = await Pair.up()
  const start = performance.now()
  await pair.elect()
  // 1 s of delay, then 3 intervals and the skew of (256 - 100) / 256 interval (RFC 9568, 6.1).
  expect(performance.now() - start).toBeGreaterThan(1300)
  const { a, b } = pair
  const killed = performance.now()
  a.running().signal('SIGTERM')
  await until('b is primary', () => b.isPrimary())
  expect(performance.now() - killed).toBeLessThan(1000)
})

test('a FIFO that vanished stops no election', async () => {
  await using pair = await Pair.up()
  rmSync(pair.fifo.path)
  await pair.elect()
  expect(await pair.a.ask()).toMatchObject({ says: 'primary' })
})
