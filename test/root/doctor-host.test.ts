import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
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
function doctor(before: readonly string[] = [], config = join(directory, 'absent.yaml')) {
  const argv = [...before, process.execPath, entry, '--config', config, 'doctor', '--json']
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
    const name = `keepward-doctor-${String(child.pid)}`
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
  test('removes the namespace when the work throws', async () => {
    const work = withScratch(true, ({ kind }) => {
      expect(kind).toBe('made')
      expect(listNamespaces()).toContain(`keepward-doctor-${process.pid}`)
      return Promise.reject(new Error('no'))
    })
    await expect(work).rejects.toThrow('no')
    expect(listNamespaces()).not.toContain(`keepward-doctor-${process.pid}`)
  })

  test('removes what a doctor that was killed left', async () => {
    const { pid } = spawnSync('true')
    await createNamespace(`keepward-doctor-${pid}`)
    await withScratch(true, () => Promise.resolve())
    expect(listNamespaces()).not.toContain(`keepward-doctor-${pid}`)
  })
})
