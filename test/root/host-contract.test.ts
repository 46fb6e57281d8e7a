import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HostEvent } from '../../src/host/operation.ts'
import { createNamespace, namespaceInode } from '../../src/linux/netns.ts'
import { networkNamespaceOf } from '../../src/linux/process.ts'
import type { RouterSpec } from '../../src/router/spec.ts'
import { hostContract } from '../support/host-contract.ts'
import { ip, RealHostUnderTest } from '../support/real-host.ts'
import { prefix, table } from '../support/router.ts'
import { until } from '../support/until.ts'

hostContract('the real host', () => RealHostUnderTest.open())

describe('the real host, of which memory knows nothing', () => {
  let it: RealHostUnderTest
  beforeEach(async () => {
    it = await RealHostUnderTest.open()
    await it.host.configure(table([it.spec]))
  })
  afterEach(async () => {
    await it.end()
  })

  const perform = (verb: 'ensure-namespace' | 'write-config' | 'start-keepalived' | 'remove-router') =>
    it.host.perform({ verb, router: it.spec.id })
  const inspect = () => it.host.perform({ verb: 'inspect', router: it.spec.id })

  async function make(spec: RouterSpec = it.spec): Promise<void> {
    await perform('ensure-namespace')
    for (const one of spec.interfaces)
      await it.host.perform({ verb: 'ensure-interface', router: spec.id, interface: one.name })
    await perform('write-config')
  }

  async function startAsPrimary(): Promise<{ pid: number; childPid: number }> {
    await make()
    // From here on the kernel is watched.
    await it.host.recheck(it.spec.id)
    await perform('start-keepalived')
    await until('the marker is there', () => addresses('ha0').includes('169.254.0.7'))
    return until('parent and child', running)
  }

  async function running(): Promise<{ pid: number; childPid: number } | false> {
    const { process } = await inspect()
    return (
      process.kind === 'running' && process.childPid !== undefined && { pid: process.pid, childPid: process.childPid }
    )
  }

  function addresses(device: string): string[] {
    const links = JSON.parse(ip('-n', it.spec.namespace, '-j', 'address', 'show', 'dev', device)) as {
      addr_info: { local: string }[]
    }[]
    return links.flatMap(({ addr_info }) => addr_info.map(({ local }) => local))
  }

  const inNamespace = (...words: string[]) => ip('-n', it.spec.namespace, ...words)

  test('a second host finds router and keepalived again after the run directory was lost', async () => {
    const before = await startAsPrimary()
    rmSync(it.run, { recursive: true })
    mkdirSync(it.run, { mode: 0o700 })
    await it.reopen()
    await it.host.configure(table([it.spec]))
    expect(await it.host.perform({ verb: 'list-owned' })).toContainEqual({
      router: it.spec.id,
      namespace: it.spec.namespace,
    })
    // One look at /proc serves all routers of a process for a while; this one was taken before the start.
    expect(await until('found', running)).toEqual(before)
    const { process, settings } = await inspect()
    expect(process).toMatchObject({ loadedDigest: undefined })
    expect(settings).toMatchObject({ writtenDigest: undefined, namespaceReady: true })
    await perform('write-config')
    expect(addresses('ha0')).toContain('169.254.0.7')
  })

  test('a second host that never heard of the router removes it by its mark, keepalived included', async () => {
    const { pid, childPid } = await startAsPrimary()
    await it.reopen()
    expect(await it.host.perform({ verb: 'list-owned' })).toContainEqual({
      router: it.spec.id,
      namespace: it.spec.namespace,
    })
    await perform('remove-router')
    expect(namespaceInode(it.spec.namespace)).toBeUndefined()
    expect([pid, childPid].filter((one) => existsSync(`/proc/${String(one)}/ns/net`))).toEqual([])
  })

  test('preview asks a command anew, and what the router runs with stays as it was', async () => {
    const file = join(it.run, 'password')
    const source = { kind: 'command', argv: ['/usr/bin/cat', file] } as const
    const password = { vrrpVersion: 2, authentication: { kind: 'pass', password: source } } as const
    const spec = { ...it.spec, ...password, advertisementIntervalMs: 1000 }
    writeFileSync(file, 'first')
    await it.host.configure(table([spec]))
    await make(spec)
    writeFileSync(file, 'second')
    await it.host.stage(table([spec]))
    const wants = async (verb: 'preview' | 'inspect') => {
      const { settings } = await it.host.perform({ verb, router: spec.id })
      return settings.kind === 'seen' && [settings.wantedDigest === settings.writtenDigest, settings.change]
    }
    expect([await wants('preview'), await wants('inspect')]).toEqual([
      [false, 'may-move-role'],
      [true, 'none'],
    ])
    await it.host.configure(table([spec]))
    expect(await wants('inspect')).toEqual([false, 'may-move-role'])
  })

  test('a namespace, interface and address of somebody else are never removed', async () => {
    await createNamespace(it.spec.namespace)
    inNamespace('link', 'add', 'other0', 'type', 'veth', 'peer', 'name', 'other1')
    await make()
    inNamespace('address', 'add', '192.0.2.77/24', 'dev', 'ext0')
    await it.host.perform({ verb: 'ensure-interface', router: it.spec.id, interface: 'ext0' })
    await perform('start-keepalived')
    await until('the marker is there', () => addresses('ha0').includes('169.254.0.7'))
    expect(addresses('ext0')).toContain('192.0.2.77')
    await expect(
      it.host.perform({ verb: 'remove-interface', router: it.spec.id, interface: 'other0' }),
    ).rejects.toMatchObject({ code: 'permission-denied' })
    expect(await it.host.perform({ verb: 'list-owned' })).not.toContainEqual(
      expect.objectContaining({ router: it.spec.id }),
    )
    await perform('remove-router')
    const left = JSON.parse(inNamespace('-j', 'link', 'show')) as { ifname: string }[]
    expect(left.map(({ ifname }) => ifname).sort()).toEqual(['lo', 'other0', 'other1'])
  })

  test('a namespace whose name was deleted while keepalived lives gets its name back, and the marker stays', async () => {
    const { pid } = await startAsPrimary()
    const inode = namespaceInode(it.spec.namespace)
    ip('netns', 'delete', it.spec.namespace)
    await it.host.recheck(it.spec.id)
    expect(it.events.findLast((one) => one.type === 'kernel')).toMatchObject({
      evidence: { kind: 'present', named: false },
    })
    expect(await inspect()).toMatchObject({ process: { kind: 'running', pid }, settings: { namespaceReady: false } })
    await perform('ensure-namespace')
    expect(namespaceInode(it.spec.namespace)).toBe(inode)
    expect(networkNamespaceOf(pid)).toBe(inode)
    expect(addresses('ha0')).toContain('169.254.0.7')
    expect((await inspect()).settings).toMatchObject({ namespaceReady: true })
  })

  test('a port that was moved to another bridge is misattached, until it is made anew', async () => {
    await make()
    await it.host.recheck(it.spec.id)
    expect((await inspect()).settings).toMatchObject({ misattached: [] })
    const ports = JSON.parse(ip('-j', 'link', 'show', 'master', `kwh${it.number}`)) as { ifname: string }[]
    ip('link', 'set', ports[0]?.ifname ?? '', 'master', `kwe${it.number}`)
    expect((await inspect()).settings).toMatchObject({ misattached: ['ha0'] })
    await it.host.perform({ verb: 'remove-interface', router: it.spec.id, interface: 'ha0' })
    await it.host.perform({ verb: 'ensure-interface', router: it.spec.id, interface: 'ha0' })
    await it.host.recheck(it.spec.id)
    expect((await inspect()).settings).toMatchObject({ misattached: [] })
  })

  test('addresses that a keepalived killed with SIGKILL left are cleared before the next start, others stay', async () => {
    const { pid, childPid } = await startAsPrimary()
    inNamespace('address', 'add', '192.0.2.77/24', 'dev', 'ext0')
    // Stopped first: a child that saw its parent end would give the addresses back.
    for (const signal of ['SIGSTOP', 'SIGKILL']) for (const one of [pid, childPid]) process.kill(one, signal)
    await until('both ended', async () => (await inspect()).process.kind === 'absent')
    expect(addresses('ha0')).toContain('169.254.0.7')
    expect(addresses('ext0')).toContain('203.0.113.10')
    const seen = it.events.length
    await perform('start-keepalived')
    const cleared = (event: HostEvent): boolean => {
      if (event.type !== 'kernel' || event.evidence.kind !== 'present') return false
      const held = [...event.evidence.interfaces.values()].flatMap((link) => link.addresses.map((one) => one.address))
      return !held.includes('169.254.0.7') && !held.includes('203.0.113.10') && held.includes('192.0.2.77')
    }
    await until('cleared', () => it.events.slice(seen).some(cleared))
    await until('primary again', () => addresses('ha0').includes('169.254.0.7'))
  })

  test('a config that keepalived refuses leaves file and process alone, and says why', async () => {
    const { pid } = await startAsPrimary()
    const file = join(it.run, 'routers', it.spec.id, 'keepalived.conf')
    const before = readFileSync(file, 'utf8')
    await it.host.configure(table([{ ...it.spec, trackedInterfaces: ['ha0', 'nowhere0'] }]))
    await expect(perform('write-config')).rejects.toMatchObject({
      code: 'keepalived-refused-config',
      message: expect.stringContaining('nowhere0') as string,
    })
    expect(readFileSync(file, 'utf8')).toBe(before)
    expect(await running()).toMatchObject({ pid })
    expect(addresses('ha0')).toContain('169.254.0.7')
    expect(readdirSync(join(it.run, 'routers', it.spec.id))).not.toContain('candidate.conf')
  })

  test('a value that could be text of keepalived.conf is refused and written nowhere', async () => {
    await make()
    const file = join(it.run, 'routers', it.spec.id, 'keepalived.conf')
    const before = readFileSync(file, 'utf8')
    const evil = 'ext0\n}\nvrrp_script x {\n script "/bin/true"'
    const hostile: Partial<RouterSpec>[] = [
      { haInterface: evil },
      { trackedInterfaces: [evil] },
      { virtualAddresses: [{ ...prefix('203.0.113.10/24'), interface: evil }] },
      { virtualAddresses: [{ ...prefix('203.0.113.10/24'), address: evil, interface: 'ext0' }] },
      { marker: { ...prefix('169.254.0.7/24'), address: `169.254.0.7 dev ${evil}` } },
      { priority: Number.NaN },
      { vrid: 1.5 },
      { advertisementIntervalMs: -1 },
      { advertise: { kind: 'unicast', source: evil, peers: [], minTtl: undefined } },
      { advertise: { kind: 'unicast', source: '169.254.192.1', peers: [evil], minTtl: undefined } },
      { virtualRoutes: [{ destination: prefix('0.0.0.0/0'), via: evil, interface: undefined, metric: undefined }] },
    ]
    for (const change of hostile) {
      await it.host.configure(table([{ ...it.spec, ...change }]))
      await expect(perform('write-config'), JSON.stringify(change)).rejects.toMatchObject({ code: 'config-invalid' })
      expect(readFileSync(file, 'utf8')).toBe(before)
    }
    await it.host.configure(table([it.spec]))
  })

  test('preview of a newcomer makes no directory', async () => {
    const newcomer = { ...it.spec, id: `${it.spec.id}x` as RouterSpec['id'], namespace: `${it.spec.namespace}x` }
    await it.host.stage(table([it.spec, newcomer]))
    await it.host.perform({ verb: 'preview', router: newcomer.id })
    expect(readdirSync(join(it.run, 'routers'))).not.toContain(newcomer.id)
  })

  test('remove-router ends an adopted keepalived while it is looked at all the time', async () => {
    const { pid } = await startAsPrimary()
    await it.reopen()
    await it.host.configure(table([it.spec]))
    expect(await running()).toMatchObject({ pid })
    const removed = new AbortController()
    const looking = (async () => {
      while (!removed.signal.aborted) {
        await Promise.all([
          inspect(),
          it.host.perform({ verb: 'ask-keepalived', router: it.spec.id }).catch(() => undefined),
        ])
      }
    })()
    const startedMs = performance.now()
    await perform('remove-router')
    expect(performance.now() - startedMs).toBeLessThan(2000)
    removed.abort()
    await looking
    expect(existsSync(`/proc/${String(pid)}/ns/net`)).toBe(false)
  })

  test('remove-router ends a keepalived that is stopped', async () => {
    const { pid, childPid } = await startAsPrimary()
    for (const one of [pid, childPid]) process.kill(one, 'SIGSTOP')
    await until('it is seen stopped', async () => {
      const { process: seen } = await inspect()
      return seen.kind === 'running' && seen.stopped
    })
    await perform('remove-router')
    expect(namespaceInode(it.spec.namespace)).toBeUndefined()
  })
})
