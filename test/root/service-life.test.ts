import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findByArgument, openProcess, type ProcessIdentity } from '../../src/linux/process.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { Daemon, type ServicePlace } from '../../src/reactions/daemon.ts'
import type { ServiceHome } from '../../src/reactions/service-record.ts'
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

test('of a service that was started and not put on record nothing is left open, and the next life finds it among those that pretend to be it', async () => {
  const script = join(path, 'life.sh')
  writeFileSync(script, 'echo up; while :; do sleep 0.02; done', { mode: 0o644 })
  chmodSync(path, 0o711)
  const decoys = [
    spawn('setpriv', ['--reuid', '60232', '--clear-groups', 'sh', script]),
    spawn('unshare', ['--net', 'sh', script]),
  ]
  try {
    await Promise.all(decoys.map(({ stdout }) => once(stdout, 'data')))
    const before = descriptors()
    const brittle: ServiceHome = {
      pathOf: (name) => home.pathOf(name),
      readText: (name) => home.readText(name),
      remove: (name) => home.remove(name),
      write: (name, text) =>
        String(text).includes('"pid"') ? Promise.reject(new Error('no space')) : home.write(name, text),
    }
    const service = running('while :; do sleep 0.02; done')
    using daemon = new Daemon(service, () => undefined)
    await expect(daemon.take('primary', routerSpec(), { ...place, home: brittle }, signal)).rejects.toThrow('no space')
    const known = decoys.map(({ pid }) => pid)
    const [pid = 0] = findByArgument(script, 'sh').filter((one) => !known.includes(one))
    {
      using process = openProcess(pid)
      using next = new Daemon(service, () => undefined)
      expect(await next.look(routerSpec(), home)).toMatchObject({ is: 'both' })
      await next.end(home)
      expect(process?.alive()).toBe(false)
    }
    expect(findByArgument(script, 'sh').toSorted()).toEqual(known.toSorted())
    await until('nothing of it is open', () => descriptors() === before)
  } finally {
    for (const decoy of decoys) decoy.kill('SIGKILL')
  }
})

const descriptors = (): number => readdirSync('/proc/self/fd').length

test('a service that somebody looks at while it is started has its last words', async () => {
  const ends: string[] = []
  const script = 'sleep 0.4; echo last words; exit 1'
  using daemon = new Daemon(running(script), (lastWords) => ends.push(lastWords))
  const taken = daemon.take('primary', routerSpec(), place, signal)
  await until('it is on record', () => existsSync(recordPath()) && readFileSync(recordPath(), 'utf8').includes('"pid"'))
  await daemon.look(routerSpec(), home)
  await taken
  expect(await until('it has ended', () => ends.length > 0 && ends)).toEqual(['last words'])
})
