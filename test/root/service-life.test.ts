import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openProcess, type ProcessIdentity } from '../../src/linux/process.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { Daemon, type ServicePlace } from '../../src/reactions/daemon.ts'
import type { Service } from '../../src/reactions/service.ts'
import { routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

let path: string
let home: SafeDir
let place: ServicePlace
const { signal } = new AbortController()

beforeEach(() => {
  path = mkdtempSync('/run/kwt-life-')
  home = SafeDir.open(path)
  place = { home, namespaceFd: openSync('/proc/self/ns/net', 'r') }
})
afterEach(() => {
  closeSync(place.namespaceFd)
  home.close()
  rmSync(path, { recursive: true })
})

/** A shell script in the place of a program of somebody else's. */
const running = (script: string): Service => ({
  name: 'radvd',
  program: 'sh',
  configName: 'life.sh',
  endSignal: 'SIGTERM',
  plan: (_spec, _stance, pathOf) => ({ files: new Map([['life.sh', script]]), argv: ['sh', pathOf('life.sh')] }),
})
const recordPath = () => join(path, 'radvd.json')
const pidOnRecord = (): number =>
  (JSON.parse(readFileSync(recordPath(), 'utf8')) as { identity: ProcessIdentity }).identity.pid

test('a service that dies while it is ended, and is looked at before its end is heard of, has ended', async () => {
  const deaf = join(path, 'deaf')
  using daemon = new Daemon(running(`trap 'touch ${deaf}' TERM; while :; do sleep 0.02; done`), () => undefined)
  await daemon.take('primary', routerSpec(), place, signal)
  using process = openProcess(pidOnRecord())
  const ending = daemon.end(home)
  await until('it was told to end', () => existsSync(deaf))
  execFileSync('kill', ['-KILL', String(process?.pid)])
  while (process?.alive() === true);
  await daemon.look(routerSpec(), home)
  await ending
  expect(existsSync(recordPath())).toBe(false)
})

test('a service that is let go while it is ended runs on, and stays on record', async () => {
  const deaf = join(path, 'deaf')
  using daemon = new Daemon(running(`trap 'touch ${deaf}' TERM; while :; do sleep 0.02; done`), () => undefined)
  await daemon.take('primary', routerSpec(), place, signal)
  using process = openProcess(pidOnRecord())
  try {
    const ending = daemon.end(home)
    await until('it was told to end', () => existsSync(deaf))
    daemon[Symbol.dispose]()
    await expect(ending).rejects.toThrow(/^radvd \d+ was let go before it ended$/)
    expect([process?.alive(), pidOnRecord()]).toEqual([true, process?.pid])
  } finally {
    process?.signal('SIGKILL')
  }
})
