import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Finding } from '../../src/doctor/check.ts'
import { withScratch } from '../../src/doctor/scratch.ts'
import { createNamespace, deleteNamespace, listNamespaces } from '../../src/linux/netns.ts'

const entry = join(import.meta.dirname, '..', '..', 'src', 'cmd', 'keepward.ts')
const directory = mkdtempSync(join(tmpdir(), 'kwt-doctor-'))
const stranger = `kwt-${process.pid}-doctor`
afterEach(() => deleteNamespace(stranger))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

/** Runs `keepward doctor --json` after these words, and looks at what it leaves. */
function doctor(before: readonly string[] = [], config = join(directory, 'absent.yaml'), more: readonly string[] = []) {
  const argv = [...before, process.execPath, entry, '--config', config, 'doctor', '--json', ...more]
  const { stdout, status } = spawnSync('env', argv, { encoding: 'utf8', timeout: 30_000 })
  expect(listNamespaces().filter((name) => name.startsWith('keepward-doctor-'))).toEqual([])
  const { checks } = JSON.parse(stdout) as { checks: Finding[] }
  return { status, of: (name: string) => checks.find((one) => one.name === name), checks }
}

describe('keepward doctor', () => {
  test('tries everything, fails nothing on this host, and leaves nothing', () => {
    const { checks, of } = doctor()
    expect(checks.filter(({ status }) => status === 'failed')).toEqual([])
    expect(of('config')?.found).toMatch(/absent\.yaml yet; defaults are used$/)
    for (const name of ['namespaces', 'kernel watch', 'veth', 'bridge', 'macvlan', 'vxlan', 'IPv6', 'keepalived']) {
      expect(of(name)?.status, name).toBe('ok')
    }
    expect(readdirSync('/var/lib').filter((name) => name.startsWith('.keepward-doctor'))).toEqual([])
  })

  test('names every problem of a broken config, and goes on', () => {
    const config = join(directory, 'broken.yaml')
    writeFileSync(config, 'version: 2\nroutrs: []\n')
    const { status, of } = doctor([], config)
    expect(status).toBe(2)
    expect(of('config')).toMatchObject({ status: 'failed', fix: `keepward --config ${config} validate` })
    expect(of('veth')?.status).toBe('ok')
  })

  test('sees that nobody else sees namespaces made in `ip netns exec`', async () => {
    await createNamespace(stranger)
    expect(doctor(['ip', 'netns', 'exec', stranger]).of('namespaces seen')?.status).toBe('failed')
  })

  test('names the capabilities that are missing', () => {
    const { status, of } = doctor(['setpriv', '--bounding-set=-net_broadcast,-chown'])
    expect(status).toBe(2)
    expect(of('capabilities')?.found).toBe(
      'lacks NET_BROADCAST (hears all namespaces), CHOWN (gives the control socket to its group)',
    )
    expect(of('kernel watch')?.status).toBe('failed')
  })

  test('removes its namespace before it ends when it is told to end', async () => {
    const child = spawn(process.execPath, [entry, '--config', join(directory, 'absent.yaml'), 'doctor'], {
      stdio: 'ignore',
    })
    const name = `keepward-doctor-${String(child.pid)}-1`
    const ended = once(child, 'close')
    await expect.poll(() => listNamespaces().includes(name), { interval: 2, timeout: 10_000 }).toBe(true)
    child.kill('SIGTERM')
    expect(await ended).toEqual([null, 'SIGTERM'])
    expect(listNamespaces()).not.toContain(name)
  })

  test('says what it skips without root', () => {
    const { status, checks, of } = doctor(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'])
    expect(status).toBe(1)
    expect(of('config')).toMatchObject({ status: 'unknown', fix: 'run it as root: sudo keepward doctor' })
    const skipped = checks.filter(({ found }) => found === 'skipped: needs root').map(({ name }) => name)
    expect(skipped).toEqual([
      'namespaces',
      'namespaces seen',
      'kernel watch',
      'veth',
      'bridge',
      'macvlan',
      'vxlan',
      'IPv6',
      'address protocol',
      'nftables',
      'rp_filter',
      'journal disk',
    ])
  })
})

describe('withScratch()', () => {
  const ofThisProcess = () => listNamespaces().filter((one) => one.startsWith(`keepward-doctor-${process.pid}-`))

  test('removes the namespace when the work throws', async () => {
    const work = withScratch(true, ({ kind }) => {
      expect(kind).toBe('made')
      expect(ofThisProcess()).toHaveLength(1)
      return Promise.reject(new Error('no'))
    })
    await expect(work).rejects.toThrow('no')
    expect(ofThisProcess()).toEqual([])
  })

  test('removes what a doctor that was killed left', async () => {
    const { pid } = spawnSync('true')
    await createNamespace(`keepward-doctor-${pid}-1`)
    await withScratch(true, () => Promise.resolve())
    expect(listNamespaces()).not.toContain(`keepward-doctor-${pid}-1`)
  })
})

describe('keepward doctor --security', () => {
  const config = join(directory, 'agent.yaml')
  const look = () => {
    const { status, checks } = doctor([], config, ['--security'])
    return [status, ...checks.filter((one) => one.status !== 'ok').map((one) => `${one.name}: ${one.status}`)]
  }
  const paths = `version: 1\npaths: { state: /var/lib/kwt-none, run: ${directory}/run }\nrouters: []\n`

  test('finds nothing in a config of root with safe settings, and needs no namespace to say so', () => {
    writeFileSync(config, paths, { mode: 0o644 })
    const { checks } = doctor([], config, ['--security'])
    expect(look()).toEqual([0])
    expect(checks.map(({ name, found }) => `${name}: ${found}`)).toEqual([
      `config: ${config} is valid: 0 routers`,
      'config trust: root alone; no signature is asked for',
      `signing key: none beside ${config}`,
      'config in force: no agent answers this user',
      'agent process: no agent answers this user',
    ])
  })

  test('lists each setting that weakens', () => {
    writeFileSync(config, `${paths}config: { applyChanges: true }\nstateChange: { openToAll: true }\n`)
    expect(look()).toEqual([1, 'config.applyChanges: warning', 'stateChange.openToAll: warning'])
  })

  test('fails a config that others can write, and one without the signature that is asked for; names a signing key', () => {
    writeFileSync(config, paths)
    chmodSync(config, 0o666)
    expect(look()).toEqual([2, 'config trust: failed'])
    chmodSync(config, 0o644)
    const program = (...words: readonly string[]) =>
      spawnSync(process.execPath, [entry, '--config', config, 'config', ...words], { timeout: 30_000 }).status
    expect(program('keygen', directory)).toBe(0)
    expect(look()).toEqual([2, 'config trust: failed', 'signing key: warning'])
    expect(program('sign', '--key', join(directory, 'config-signing.key'))).toBe(0)
    expect(look()).toEqual([1, 'signing key: warning'])
  })
})
