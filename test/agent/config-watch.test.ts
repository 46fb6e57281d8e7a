import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { watchConfigFile } from '../../src/agent/config-watch.ts'
import { KeepwardError } from '../../src/base/error.ts'
import { configHash } from '../../src/config/load.ts'
import type { ConfigFile } from '../../src/config/trusted.ts'
import { TestAgent, textOf } from '../support/agent.ts'
import { staysSo, until } from '../support/until.ts'

const running = 'the config that runs\n'
const other = 'another config\n'
// sha256sum(1) of the two, the first twelve digits.
const runningDigest = '5cda6a7eaa1a'
const otherDigest = '39488a6aef09'

let home: string
let file: string

beforeEach(() => {
  home = mkdtempSync('/tmp/kwt-watch-')
  mkdirSync(`${home}/etc`)
  file = `${home}/etc/agent.yaml`
  writeFileSync(file, running)
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

interface Watched extends AsyncDisposable {
  readonly test: TestAgent
  /** How often the file was read. */
  reads: number
}

/** An agent that runs what the file holds, and watches it; a text with `broken` is refused. */
async function watched(options: { applyChanges?: boolean; everyMs?: number } = {}): Promise<Watched> {
  const test = await TestAgent.start()
  const config = {
    ...test.agent.config,
    config: { requireSignature: false, applyChanges: options.applyChanges ?? false },
  }
  const reading = (): ConfigFile => {
    const bytes = readFileSync(file)
    const hash = configHash(bytes)
    const load = () =>
      bytes.includes('broken')
        ? Promise.reject(new KeepwardError('config-invalid', 'line 1 is broken'))
        : Promise.resolve({ config, hash, stamp: hash, signedBy: undefined })
    return { hash, stamp: hash, load }
  }
  test.file = reading
  await test.agent.apply()
  const self: Watched = {
    test,
    reads: 0,
    async [Symbol.asyncDispose]() {
      stop()
      await test[Symbol.asyncDispose]()
    },
  }
  const read = () =>
    new Promise<ConfigFile>((resolve) => {
      self.reads += 1
      resolve(reading())
    })
  // Longer than any test: what is seen in time was heard of.
  const stop = watchConfigFile({ agent: test.agent, file, read, everyMs: options.everyMs ?? 60_000 })
  await until('the first look', () => self.reads > 0)
  return self
}

/** Milliseconds until the condition is raised. */
async function raised(test: TestAgent): Promise<number> {
  const from = performance.now()
  await test.condition('config-changed-on-disk')
  return performance.now() - from
}

/** As most editors do it. */
function replace(text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

const applies = async (test: TestAgent): Promise<string[]> =>
  (await test.records())
    .filter(({ kind, body }) => kind === 'config' && body['change'] !== 'applying')
    .map(({ body }) => `${textOf(body['change'])} by ${textOf(body['by'])}`)

test.each<readonly [how: string, change: () => void]>([
  [
    'written in place',
    () => {
      writeFileSync(file, other)
    },
  ],
  [
    'replaced by rename',
    () => {
      replace(other)
    },
  ],
])('a file that is %s raises config-changed-on-disk within a second, and changes nothing', async (_how, change) => {
  await using it = await watched()
  const { test } = it
  // A disk that is slow on a busy machine is no business of this test.
  const isRaised = () => test.agent.status().conditions.some(({ code }) => code === 'config-changed-on-disk')
  await staysSo('nothing is raised', () => !isRaised(), 300)
  change()
  expect(await raised(test)).toBeLessThan(1000)
  expect(await test.condition('config-changed-on-disk')).toBe(
    `The file has the digest ${otherDigest}; what runs has ${runningDigest} (\`keepward plan\` compares)`,
  )
  expect(test.agent.status()).toMatchObject({ health: 'degraded' })
  await staysSo('nothing is applied', () => test.agent.status().agent.configDigest.startsWith(runningDigest), 1500)
  expect(await applies(test)).toEqual(['loaded by null'])
})

test('config-changed-on-disk ends when the content is again what runs, and when it is applied', async () => {
  await using it = await watched()
  replace(other)
  await raised(it.test)
  replace(running)
  await it.test.noCondition('config-changed-on-disk')
  replace(other)
  await raised(it.test)
  await it.test.agent.apply()
  await it.test.noCondition('config-changed-on-disk')
  await staysSo('nothing is raised', () => it.test.agent.status().conditions.length === 0, 300)
  expect(it.test.agent.status().agent.configDigest.slice(0, 12)).toBe(otherDigest)
})

test('a file that vanishes raises config-changed-on-disk, and ends it when it comes back', async () => {
  await using it = await watched()
  renameSync(file, `${home}/elsewhere`)
  expect(await raised(it.test)).toBeLessThan(1000)
  expect(await it.test.condition('config-changed-on-disk')).toMatch(
    new RegExp(`^ENOENT: .*; what runs has ${runningDigest} `),
  )
  renameSync(`${home}/elsewhere`, file)
  await it.test.noCondition('config-changed-on-disk')
})

test('what no watch tells is found by the next look: a file in a directory that took the name of another', async () => {
  await using it = await watched({ everyMs: 2000 })
  mkdirSync(`${home}/next`)
  writeFileSync(`${home}/next/agent.yaml`, other)
  renameSync(`${home}/etc`, `${home}/before`)
  renameSync(`${home}/next`, `${home}/etc`)
  await raised(it.test)
  // From now on that directory is heard: the next look by itself is two seconds away.
  replace(running)
  const from = performance.now()
  await it.test.noCondition('config-changed-on-disk')
  expect(performance.now() - from).toBeLessThan(1000)
})

test('other files of the directory are no reason to look', async () => {
  await using it = await watched()
  await until('it listens', () => {
    chmodSync(file, 0o600)
    return it.reads > 1
  })
  await staysSo('the looks end', () => true, 300)
  const { reads } = it
  writeFileSync(`${home}/etc/journal.sqlite`, 'x')
  await staysSo('no look', () => it.reads === reads, 500)
})

test('applyChanges applies a change once the file has been quiet for a second', async () => {
  await using it = await watched({ applyChanges: true })
  const { test } = it
  // Written for longer than a second, never quiet for one.
  let at = performance.now()
  for (let part = 0; part < 6; part += 1) {
    replace(`part ${String(part)}\n`)
    at = performance.now()
    await staysSo('it waits', () => test.agent.status().agent.configDigest.startsWith(runningDigest), 350)
  }
  replace(other)
  at = performance.now()
  await until('it is applied', () => test.agent.status().agent.configDigest.startsWith(otherDigest))
  expect(performance.now() - at).toBeGreaterThan(900)
  await test.noCondition('config-changed-on-disk')
  expect(await applies(test)).toEqual(['loaded by null', 'loaded by change-on-disk'])
})

test('applyChanges raises config-not-applied for a broken file, tries it once, and ends it when it is put back', async () => {
  await using it = await watched({ applyChanges: true, everyMs: 200 })
  const { test } = it
  replace('broken\n')
  expect(await test.condition('config-not-applied')).toBe('line 1 is broken')
  await test.condition('config-changed-on-disk')
  await staysSo('it is not tried again', async () => (await applies(test)).length === 2, 2500)
  expect(await applies(test)).toEqual(['loaded by null', 'refused by change-on-disk'])
  expect(test.agent.status().agent.configDigest.slice(0, 12)).toBe(runningDigest)
  replace(running)
  await test.noCondition('config-not-applied')
  await test.noCondition('config-changed-on-disk')
})
