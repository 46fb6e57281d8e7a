import { execFileSync } from 'node:child_process'
import { mkdtempSync, openSync, closeSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFirstWords } from '../../src/linux/first-words.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { Daemon, type ServicePlace } from '../../src/reactions/daemon.ts'
import type { Service } from '../../src/reactions/service.ts'
import { routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

let path: string
let home: SafeDir
let namespaceFd: number

beforeEach(() => {
  path = mkdtempSync('/run/kwt-words-')
  home = SafeDir.open(path)
  namespaceFd = openSync('/proc/self/ns/net', 'r')
})
afterEach(() => {
  closeSync(namespaceFd)
  home.close()
  rmSync(path, { recursive: true })
})

/** A shell script in the place of a program of somebody else's. */
const saying = (script: string): Service => ({
  name: 'radvd',
  program: 'sh',
  configName: 'words.sh',
  endSignal: 'SIGKILL',
  plan: (_spec, _stance, pathOf) => ({
    files: new Map([['words.sh', script]]),
    argv: ['sh', pathOf('words.sh')],
  }),
})

const take = (daemon: Daemon): Promise<void> => {
  const place: ServicePlace = { home, namespaceFd }
  return daemon.take('primary', routerSpec(), place, new AbortController().signal)
}

test('the error of a service that ends as soon as it is started has what it said, on either output', async () => {
  using talker = new Daemon(saying('echo "cannot bind" >&2; echo "socket 80"; exit 1'), () => undefined)
  await expect(take(talker)).rejects.toMatchObject({
    code: 'reaction-failed',
    message: 'radvd ended as soon as it was started: cannot bind\nsocket 80',
  })
  using mute = new Daemon(saying('exit 1'), () => undefined)
  await expect(take(mute)).rejects.toThrow('radvd ended as soon as it was started: it said nothing')
})

test('what a service said is told when it dies later, to a bound, and it never waits for a reader', async () => {
  const ends: string[] = []
  const script = `i=0
while [ $i -lt 3000 ]; do echo "line $i of many" 2>/dev/null || break; i=$((i + 1)); done
[ $i -gt 100 ] && [ $i -lt 3000 ] && sleep 0.5
exit 1`
  using daemon = new Daemon(saying(script), (lastWords) => ends.push(lastWords))
  await take(daemon)
  const [said = ''] = await until('it has ended', () => ends.length > 0 && ends)
  expect(said.length).toBeLessThanOrEqual(1000)
  expect(said).toMatch(/line \d{3} of many\n/)
})

test('a service that moves the end of its words far away takes nothing with it', () => {
  using words = openFirstWords()
  execFileSync('perl', ['-e', 'syswrite STDERR, "last words"; sysseek(STDERR, 2**62, 0) or die'], {
    stdio: ['ignore', 'ignore', words.fd],
  })
  expect(words.read().length).toBeLessThanOrEqual(1000)
})
