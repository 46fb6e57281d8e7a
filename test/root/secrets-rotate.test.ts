import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { EventView } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { endChild } from '../support/child.ts'
import { program } from '../support/lab.ts'
import { until } from '../support/until.ts'

let home: string
let agent: ChildProcess

const at = (name: string) => join(home, name)

beforeEach(async () => {
  home = mkdtempSync('/run/kwt-rotate-')
  const paths = `paths: { state: ${home}/state, run: ${home}/run }`
  writeFileSync(at('agent.yaml'), `version: 1\nagent: { id: kwt-${String(process.pid)} }\n${paths}\nrouters: []\n`, {
    mode: 0o644,
  })
  await startAgent()
})
afterEach(async () => {
  await endChild(agent)
  rmSync(home, { recursive: true })
})

async function startAgent(): Promise<void> {
  agent = spawn(program, ['-c', at('agent.yaml'), 'agent'], { stdio: 'ignore' })
  await until('the agent answers', () => callAt(at('run/control.sock'), 'GET', '/v1/status'))
}

/** Exit status and standard output. */
const keepward = (...words: string[]) =>
  new Promise<readonly [number, string]>((resolve) => {
    execFile(program, ['-c', at('agent.yaml'), ...words], { timeout: 30_000 }, (error, stdout) => {
      resolve([error === null ? 0 : Number(error.code), stdout])
    })
  })

const [delivered, refused] = ['r1 backup: delivered\n', 'r1 backup: refused: signature-wrong\n']

test('keepward secrets rotate notifiers: the new key speaks at once, the old one for the grace, across a restart', async () => {
  const [, old] = await keepward('notify-key', 'r1')
  writeFileSync(at('old.key'), old, { mode: 0o600 })
  const withOld = () => keepward('notify', 'r1', 'backup', '--key-file', at('old.key'))
  const withOwn = () => keepward('notify', 'r1', 'backup')
  expect(await keepward('secrets', 'rotate', 'notifiers', '--grace', '600')).toEqual([
    0,
    expect.stringContaining('The agent has a new key for notifiers'),
  ])
  expect((await keepward('notify-key', 'r1'))[1]).not.toBe(old)
  expect([await withOwn(), await withOld()]).toEqual([
    [0, delivered],
    [0, delivered],
  ])
  await endChild(agent)
  await startAgent()
  expect([await withOwn(), await withOld()]).toEqual([
    [0, delivered],
    [0, delivered],
  ])
  const [, second] = await keepward('notify-key', 'r1')
  writeFileSync(at('second.key'), second, { mode: 0o600 })
  await keepward('secrets', 'rotate', 'notifiers', '--grace', '0')
  expect(await withOwn()).toEqual([0, delivered])
  expect(await withOld()).toEqual([1, refused])
  expect(await keepward('notify', 'r1', 'backup', '--key-file', at('second.key'))).toEqual([1, refused])
  const rotations = await until('both are on record', async () => {
    const events = await callAt<EventView[]>(at('run/control.sock'), 'GET', '/v1/events?limit=1000')
    const found = events.filter(({ body }) => body['change'] === 'notifier-keys-rotated')
    return found.length === 2 && found
  })
  expect(rotations.map(({ body }) => body)).toMatchObject([
    { by: 'request', uid: 0, gid: 0, untilMs: expect.any(Number) as number },
    { by: 'request', uid: 0, gid: 0, untilMs: expect.any(Number) as number },
  ])
}, 60_000)
