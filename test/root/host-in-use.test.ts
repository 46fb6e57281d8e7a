import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hostCapabilities } from '../../src/host/rights.ts'
import { boundedBy } from '../../src/lab/processes.ts'
import { buildShim, FaultHost } from '../support/faults/host.ts'
import { program } from '../support/lab.ts'
import { until } from '../support/until.ts'

let directory = ''
let shim = ''
beforeAll(() => {
  directory = mkdtempSync('/tmp/kwuse-')
  shim = buildShim(directory)
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('a second keepward host with another agent.id on the same paths.host ends, and the first and its agent go on', async () => {
  const host = FaultHost.make('two', shim)
  try {
    await host.up()
    const path = join(host.home, 'host')
    const picture = () =>
      readdirSync(path).map((name) => {
        const { uid, mode, ino } = statSync(join(path, name))
        return { name, uid, mode, ino }
      })
    const before = picture()
    const config = join(directory, 'agent.yaml')
    const text = readFileSync(join(host.home, 'agent.yaml'), 'utf8')
    writeFileSync(config, text.replace(`id: ${host.name}`, `id: ${host.name}x`), { mode: 0o644 })
    const [file, ...words] = [...boundedBy(hostCapabilities), program, '-c', config, 'host']
    const { status, stderr } = spawnSync(file, words, { encoding: 'utf8', timeout: 20_000 })
    const { pid } = host.running('host').child
    expect([status, stderr]).toEqual([
      4,
      expect.stringContaining(`Another process (pid ${String(pid)}) uses ${path} (`) as string,
    ])
    expect(picture()).toEqual(before)
    // An agent that comes now is let in.
    const agent = host.running('agent').child
    agent.kill('SIGKILL')
    await host.running('agent').ended
    host.start('agent')
    await until('the agent answers', () => host.status(), 20_000)
    expect(await host.conditions()).toEqual([])
  } finally {
    await host.end()
  }
})
