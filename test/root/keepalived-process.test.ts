import { statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { KeepwardError } from '../../src/base/error.ts'
import { askKeepalived } from '../../src/keepalived/ask.ts'
import { testConfig } from '../../src/keepalived/config-file.ts'
import { findKeepalived } from '../../src/keepalived/adopt.ts'
import { reloadKeepalived, stopKeepalived, viewKeepalived } from '../../src/keepalived/process.ts'
import { renderConfig } from '../../src/keepalived/render.ts'
import { namespaceInode, openNamespace } from '../../src/linux/netns.ts'
import { type Host, Pair, prefix, until } from './keepalived-pair.ts'

const untilStopped = (host: Host) =>
  until('it is stopped', async () => {
    const view = await viewKeepalived(host.home, host.process)
    return view.kind === 'running' && view.stopped
  })

const inodeOf = (name: string): number => namespaceInode(name) ?? 0

test('startKeepalived() starts, stopKeepalived() gives the addresses back', async () => {
  await using pair = await Pair.up()
  const { a } = pair
  expect(await viewKeepalived(a.home, undefined)).toEqual({ kind: 'absent' })
  const process = await a.start()
  await until('a is primary', () => a.isPrimary())
  expect(await viewKeepalived(a.home, process)).toMatchObject({ kind: 'running', pid: process.pid, stopped: false })
  expect(statSync(a.home.pathOf('keepalived.conf')).mode & 0o777).toBe(0o600)
  expect(await a.addresses()).toEqual(['169.254.0.7/24 ha0', '192.0.2.1/24 qr0', '2001:db8::1/64 qr0'])
  expect(await a.ip('route', 'show', 'protocol', '152')).toBe('198.51.100.0/24 via 192.0.2.9 dev qr0 \n')
  expect(await a.ip('-6', 'route', 'show', 'protocol', '152')).toContain('default via 2001:db8::9 dev qr0')
  expect(await stopKeepalived(a.home, process)).toBe('stopped')
  expect(await a.addresses()).toEqual([])
  expect(await viewKeepalived(a.home, process)).toEqual({ kind: 'absent' })
  await until('STOP is heard', () => pair.hints.includes('stop 100'))
  expect(pair.hints).toEqual(['backup 100', 'primary 100', 'stop 100'])
})

test('askKeepalived() waits for a keepalived that just started, whose signals would still end it', async () => {
  await using pair = await Pair.up()
  for (let round = 0; round < 5; round += 1) {
    const process = await pair.a.start()
    expect(await pair.a.ask()).toMatchObject({ instance: 'r1', says: 'backup', effectivePriority: 100 })
    await reloadKeepalived(pair.a.home, process)
    expect(await pair.a.ask()).toMatchObject({ says: 'backup' })
    expect(statSync(pair.a.home.pathOf('dump') + '/keepalived.json').mode & 0o777).toBe(0o600)
    expect(process.alive()).toBe(true)
    expect(await stopKeepalived(pair.a.home, process)).toBe('stopped')
  }
})

test('askKeepalived() answers each of many at once', async () => {
  await using pair = await Pair.up()
  await pair.a.start()
  const answers = await Promise.all(Array.from({ length: 20 }, () => pair.a.ask()))
  expect(answers.filter(({ says }) => says === 'backup')).toHaveLength(20)
})

test('askKeepalived() reads again what keepalived is just writing, and tells what stays unsafe', async () => {
  await using pair = await Pair.up()
  const process = await pair.a.start()
  const { home } = pair.a
  const asking = (times: number) => {
    const sub: typeof home.sub = (name, options) => {
      const directory = home.sub(name, options)
      const readText = directory.readText.bind(directory)
      directory.readText = (...words) =>
        times-- > 0 ? Promise.reject(new KeepwardError('file-unsafe', 'it grew')) : readText(...words)
      return directory
    }
    const there = { path: home.path, pathOf: home.pathOf.bind(home), sub, read: home.read.bind(home) }
    const rest = { readText: home.readText.bind(home), write: home.write.bind(home), remove: home.remove.bind(home) }
    return askKeepalived({ ...there, ...rest }, process, pair.a.features, 'r1', { deadlineMs: 1000 })
  }
  expect(await asking(2)).toMatchObject({ says: 'backup' })
  await expect(asking(Infinity)).rejects.toMatchObject({ code: 'file-unsafe' })
})

test('askKeepalived() asks again when the child died in between', async () => {
  await using pair = await Pair.up()
  const process = await pair.a.start()
  await pair.a.ask()
  const view = await viewKeepalived(pair.a.home, process)
  if (view.kind !== 'running' || view.childPid === undefined) throw new Error('no child')
  globalThis.process.kill(view.childPid, 'SIGKILL')
  expect(await pair.a.ask()).toMatchObject({ says: 'backup' })
  expect(process.alive()).toBe(true)
})

test('askKeepalived() is silent about a stopped keepalived, and answers when it continues', async () => {
  await using pair = await Pair.up()
  const process = await pair.a.start()
  await pair.a.ask()
  process.signal('SIGSTOP')
  await untilStopped(pair.a)
  await expect(pair.a.ask()).rejects.toMatchObject({ code: 'keepalived-silent' })
  process.signal('SIGCONT')
  expect(await pair.a.ask()).toMatchObject({ says: 'backup' })
})

test('askKeepalived() is silent about a stopped child, and stopKeepalived() still ends both', async () => {
  await using pair = await Pair.up()
  const process = await pair.a.start()
  await pair.a.ask()
  const view = await viewKeepalived(pair.a.home, process)
  if (view.kind !== 'running' || view.childPid === undefined) throw new Error('no child')
  globalThis.process.kill(view.childPid, 'SIGSTOP')
  await untilStopped(pair.a)
  await expect(pair.a.ask()).rejects.toMatchObject({ code: 'keepalived-silent' })
  expect(await stopKeepalived(pair.a.home, process)).toBe('stopped')
})

test('viewKeepalived() finds deaf one that was reloaded without its unicast source, until it is reloaded with it', async () => {
  await using pair = await Pair.up()
  const { a } = pair
  const process = await a.start()
  await a.ask()
  const deaf = async () => {
    const view = await viewKeepalived(a.home, process)
    return view.kind === 'running' && view.deaf
  }
  expect(await deaf()).toBe(false)
  await a.ip('address', 'delete', '10.9.0.1/24', 'dev', 'ha0')
  await reloadKeepalived(a.home, process)
  await until('it is deaf', deaf)
  await a.ip('address', 'add', '10.9.0.1/24', 'dev', 'ha0')
  await reloadKeepalived(a.home, process)
  expect(await deaf()).toBe(false)
})

test('findKeepalived() adopts by record, by arguments when it is lost, and nothing of another namespace', async () => {
  await using pair = await Pair.up()
  const { a } = pair
  const started = await a.start()
  const byRecord = await findKeepalived(a.home, inodeOf(a.name))
  expect(byRecord?.process.pid).toBe(started.pid)
  expect(byRecord?.loaded).toMatch(/^[0-9a-f]{64}$/)
  byRecord?.process.close()
  expect(await findKeepalived(a.home, inodeOf(pair.b.name))).toBeUndefined()

  await a.ask()
  for (const lost of ['{}', 'not json', '']) {
    await a.home.write('process.json', lost)
    const bySearch = await findKeepalived(a.home, inodeOf(a.name))
    expect(bySearch?.process.pid).toBe(started.pid)
    expect(bySearch?.loaded).toBeUndefined()
    bySearch?.process.close()
  }
  await stopKeepalived(a.home, started)
  expect(await findKeepalived(a.home, inodeOf(a.name))).toBeUndefined()
})

test('startKeepalived() starts over a stale pid file that names a living process (LP#1561046)', async () => {
  await using pair = await Pair.up()
  await pair.a.home.write('keepalived.pid', `${process.pid}\n`)
  await pair.a.home.write('vrrp.pid', `${process.pid}\n`)
  await pair.a.start()
  expect(await pair.a.ask()).toMatchObject({ says: 'backup' })
})

test('the child gives the addresses back and ends when the parent is killed', async () => {
  await using pair = await Pair.up()
  const { a } = pair
  const process = await a.start()
  await until('a is primary', () => a.isPrimary())
  process.signal('SIGKILL')
  await process.ended(1000)
  const orphan = await viewKeepalived(a.home, process)
  expect(orphan).toMatchObject({ kind: 'orphaned', stopped: false })
  await expect(a.start()).rejects.toMatchObject({ code: 'keepalived-failed' })
  await until('the child ended', async () => (await viewKeepalived(a.home, process)).kind === 'absent')
  expect(await a.addresses()).toEqual([])
  expect(pair.hints.at(-1)).toBe('stop 100')
})

test('testConfig() judges where the config will run, and says why in words without a path', async () => {
  await using pair = await Pair.up()
  const { a } = pair
  using namespace = openNamespace(a.name)
  const context = { fifoPath: pair.fifo.path, password: new Secret('secret77') }
  const judge = (text: string) => testConfig(a.home, namespace.fd, text)
  expect(await judge(renderConfig(a.spec, a.features, context))).toEqual({ kind: 'ok' })
  const six = {
    ...a.spec,
    marker: prefix('fe80::a9fe:7/64'),
    advertise: { kind: 'multicast' as const, peers: undefined },
    trackedInterfaces: ['ha0', 'qr0'],
  }
  expect(await judge(renderConfig(six, a.features, context))).toEqual({ kind: 'ok' })
  const two = {
    ...a.spec,
    vrrpVersion: 2 as const,
    advertisementIntervalMs: 1000,
    trackedInterfaces: [],
    authentication: { kind: 'pass' as const, password: { kind: 'file' as const, path: '/unused' } },
  }
  const text = renderConfig(two, a.features, context)
  expect(await judge(text)).toEqual({ kind: 'ok' })
  const missing = renderConfig({ ...a.spec, haInterface: 'nope' }, a.features, context)
  expect(await judge(missing)).toEqual({ kind: 'refused', says: expect.stringContaining('nope') as string })
  const broken = await judge(`${text}nonsense secret77\n`)
  if (broken.kind !== 'refused') throw new Error('it was not refused')
  expect(broken.says).toMatch(/^line \d+: /m)
  expect(broken.says).not.toContain(a.home.path)
  expect(broken.says).not.toContain('secret77')
  await expect(a.home.readText('candidate.conf')).resolves.toBeUndefined()
})
