import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  chmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KeepwardError } from '../../src/base/error.ts'
import { systemClock } from '../../src/base/instant.ts'
import { openJournal } from '../../src/journal/journal.ts'
import { lockDirectory } from '../../src/linux/lock.ts'
import { native } from '../../src/linux/native.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { listenAt } from '../../src/linux/unix-socket.ts'

const ours = 'keepward wrote this\n'
const canary = 'nobody may read or change this\n'
const names = ['file', 'lock', 'fifo', 'socket', 'sub', 'tree']
const journalNames = ['', '-wal', '.draft', '.copy'].map((end) => `journal.sqlite${end}`)
/** What an attack may make us say; one may link a socket at which somebody answers, or a file that SQLite cannot use. */
const refusals = new Set(['directory-unsafe', 'file-unsafe', 'file-failed', 'state-in-use', 'journal-failed'])

/**
 * `inside`: root, in our directory. `journal`: the same, on the journal's files, less often, so that one gets made at times.
 * `above`: root, on the directory itself. `stranger`: another user, in the directory above, which all may write, as /tmp.
 */
export type Attacker = 'inside' | 'journal' | 'above' | 'stranger'

export interface RaceOptions {
  /** One step each: a file written, a socket made, ... */
  readonly rounds: number
  /** Ends it before its rounds are done; later where not every step has gone through once, which a busy processor hinders. */
  readonly limitMs?: number
  readonly attacker: Attacker
}

export interface RaceFound {
  readonly rounds: number
  /** Steps that went through, and that were refused, by code. */
  readonly outcomes: Readonly<Record<string, number>>
  /** What nobody may have done; empty is what is wanted. */
  readonly breaches: readonly string[]
}

/** Work in a directory while another process swaps what is in it for links to what lies outside. */
export async function race({ rounds, limitMs = Infinity, attacker }: RaceOptions): Promise<RaceFound> {
  const home = mkdtempSync('/tmp/kwt-race-')
  chmodSync(home, 0o711)
  const outside = await layOut(join(home, 'outside'))
  const before = portrait(outside)
  const parent = join(home, 'parent')
  mkdirSync(parent)
  chmodSync(parent, attacker === 'stranger' ? 0o1777 : 0o700)
  const state = join(parent, 'state')
  mkdirSync(state, { mode: 0o700 })
  const swapper = start(attacker, attacker === 'inside' || attacker === 'journal' ? state : parent, outside)
  const outcomes: Record<string, number> = {}
  const breaches: string[] = []
  const endAt = performance.now() + limitMs
  const isOver = (steps: readonly string[]) =>
    performance.now() > endAt + patienceMs ||
    (performance.now() > endAt && steps.every((step) => outcomes[`${step}: done`] !== undefined))
  let done = 0
  const descriptors = openDescriptors()
  let dir = SafeDir.open(state)
  const takeStep = async (step: string, does: Step) => {
    const outcome = await outcomeOf(does)
    outcomes[`${step}: ${outcome.code}`] = (outcomes[`${step}: ${outcome.code}`] ?? 0) + 1
    if (outcome.breach !== undefined) breaches.push(`round ${String(done)}, ${step}: ${outcome.breach}`)
    if (done % 5000 === 0) breaches.push(...differences(before, portrait(outside)))
    done += 1
  }
  try {
    await ready(swapper)
    let steps: Record<string, Step> = {}
    for (let turn = 0; done < rounds && !isOver(Object.keys(steps)) && breaches.length === 0; turn += 1) {
      if (attacker === 'above')
        await takeStep('open', () =>
          now(() => {
            const again = SafeDir.open(state, { create: true })
            dir.close()
            dir = again
          }),
        )
      steps = stepsOf[attacker]({ dir, outside, parent, name: names[turn % names.length] ?? '' })
      for (const [step, does] of Object.entries(steps)) await takeStep(step, does)
    }
  } finally {
    dir.close()
    const gone = once(swapper, 'exit')
    swapper.kill('SIGKILL')
    await gone
  }
  breaches.push(...differences(before, portrait(outside)))
  const left = openDescriptors() - descriptors
  // Sockets end a moment after they are closed.
  if (left > 10) breaches.push(`${String(left)} descriptors were left open`)
  rmSync(home, { recursive: true, force: true })
  return { rounds: done, outcomes, breaches }
}

const patienceMs = 30_000

type Step = () => Promise<unknown>

interface Stage {
  readonly dir: SafeDir
  readonly outside: string
  readonly parent: string
  /** One that the stranger swaps. */
  readonly name: string
}

// SQLite goes by the path of the directory, so who may replace that can make it open another: no journal under `above`.
const stepsOf: Readonly<Record<Attacker, (stage: Stage) => Record<string, Step>>> = {
  inside: stepsIn,
  journal: ({ dir }) => ({
    clear: async () => {
      for (const name of journalNames) await dir.removeDirectory(name)
    },
    journal: () => journalOnce(dir),
  }),
  above: stepsIn,
  stranger: stepsBeside,
}

function stepsIn({ dir, outside }: Stage): Record<string, Step> {
  return {
    write: () => dir.write('file', ours),
    read: () => readOurs(dir, 'file'),
    remove: () => dir.remove('file'),
    lock: () =>
      now(() => {
        lockDirectory(dir).release()
      }),
    fifo: () =>
      now(() => {
        const fd = dir.makeFifo('fifo')
        const { ino } = fstatSync(fd)
        closeSync(fd)
        if (ino === statSync(join(outside, 'pipe')).ino) throw new Error('it opened a FIFO of others')
      }),
    socket: () => listenOnce(dir),
    sub: async () => {
      using sub = dir.sub('sub', { create: true })
      await sub.write('file', ours)
      await sub.readText('file')
    },
    tree: async () => {
      using tree = dir.sub('tree', { create: true })
      await tree.write('file', ours)
    },
    clear: () => dir.removeDirectory('tree'),
    list: () => dir.list(),
  }
}

function stepsBeside({ parent, name }: Stage): Record<string, Step> {
  return {
    directory: async () => {
      const path = join(parent, name)
      using dir = SafeDir.open(path, { create: true })
      await dir.write('file', ours)
      await readOurs(dir, 'file')
      await dir.remove('file')
      // So that the name is free for the next attack: nobody else may remove what is ours.
      rmdirSync(path)
    },
    read: async () => {
      using above = SafeDir.open(parent, { mode: 'any' })
      await readOurs(above, name)
    },
    remove: async () => {
      using above = SafeDir.open(parent, { mode: 'any' })
      await above.removeDirectory(name)
    },
  }
}

async function readOurs(dir: SafeDir, name: string): Promise<void> {
  const text = await dir.readText(name)
  if (text !== undefined && text !== ours && text !== '') throw new Error(`read ${text}`)
}

const now = async (body: () => void): Promise<void> => {
  await Promise.resolve()
  body()
}

async function listenOnce(dir: SafeDir): Promise<void> {
  const server = createServer()
  await listenAt(server, dir, 'socket', { mode: 0o600 })
  const closed = once(server, 'close')
  server.close()
  await closed
}

async function journalOnce(dir: SafeDir): Promise<void> {
  const retain = { days: 1, sizeBytes: 1e6 }
  const journal = await openJournal({ dir, name: 'journal.sqlite', agent: 'a', boot: 'b', clock: systemClock, retain })
  try {
    const { durable } = journal.append({ kind: 'transition', router: 'r1', at: systemClock(), body: {} })
    // A journal whose file was taken away waits for it to come back, for as long as that takes.
    const late = delay(500, undefined, { ref: false }).then(() => {
      throw new KeepwardError('journal-failed', 'nothing is acknowledged')
    })
    for (const end of [durable, late]) end.catch(() => undefined)
    await Promise.race([durable, late])
  } finally {
    await journal.close(2000)
  }
}

const deadlineMs = 20_000

async function outcomeOf(does: Step): Promise<{ code: string; breach?: string }> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(reject, deadlineMs, new Error('it hangs'))
  try {
    await Promise.race([does(), late])
    return { code: 'done' }
  } catch (error) {
    if (error instanceof KeepwardError && refusals.has(error.code)) return { code: error.code }
    return { code: 'breach', breach: error instanceof Error ? `${error.name} ${error.message}` : String(error) }
  } finally {
    clearTimeout(timer)
  }
}

/** What must stay as it is: files, a directory with one, FIFOs, a journal and a socket that nobody serves. */
async function layOut(outside: string): Promise<string> {
  // As ours are, so that nothing but the link tells it from one of ours.
  mkdirSync(outside, { mode: 0o700 })
  mkdirSync(join(outside, 'directory'), { mode: 0o700 })
  writeFileSync(join(outside, 'file'), canary, { mode: 0o644 })
  writeFileSync(join(outside, 'directory', 'file'), canary)
  // What a lock and a FIFO would take for their own, but for the link.
  writeFileSync(join(outside, 'pid'), '12345\n', { mode: 0o600 })
  native().mkfifo(join(outside, 'pipe'), 0o600)
  native().mkfifo(join(outside, 'fifo'), 0o644)
  using dir = SafeDir.open(outside)
  await journalOnce(dir)
  const server = createServer().listen(join(outside, 'directory', 'bound'))
  // Under another name, so that closing the server leaves the socket.
  renameSync(join(outside, 'directory', 'bound'), join(outside, 'socket'))
  server.close()
  for (const name of ['file', 'fifo', 'socket', 'directory/file']) chmodSync(join(outside, name), 0o644)
  return outside
}

function start(attacker: Attacker, directory: string, outside: string): ChildProcess {
  const file = new URL('./swapper.ts', import.meta.url).pathname
  const swapped = { inside: names, journal: journalNames, above: ['state'], stranger: names }[attacker]
  return spawn(process.execPath, [file, directory, outside, ...swapped], {
    stdio: ['ignore', 'pipe', 'ignore'],
    ...(attacker === 'stranger' ? { uid: 65_534, gid: 65_534 } : {}),
  })
}

/** Throws when it ends instead. */
async function ready(swapper: ChildProcess): Promise<void> {
  if (swapper.stdout === null) throw new Error('the swapper has no output')
  const ended = once(swapper, 'exit').then(([status]) => {
    throw new Error(`the swapper ended with ${String(status)}`)
  })
  await Promise.race([once(swapper.stdout, 'data'), ended])
  ended.catch(() => undefined)
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

function portrait(outside: string): Map<string, string> {
  const paths = ['.', ...readdirSync(outside, { recursive: true, encoding: 'utf8' })].sort()
  return new Map(
    paths.map((name) => {
      const stats = lstatSync(join(outside, name))
      const content = stats.isFile()
        ? createHash('sha256')
            .update(readFileSync(join(outside, name)))
            .digest('hex')
        : ''
      return [name, [stats.ino, stats.mode, stats.uid, stats.gid, stats.isFile() ? stats.mtimeMs : '', content].join()]
    }),
  )
}

function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const all = new Set([...before.keys(), ...after.keys()])
  return [...all]
    .filter((name) => before.get(name) !== after.get(name))
    .map((name) => `outside/${name} was ${before.get(name) ?? 'absent'}, is ${after.get(name) ?? 'gone'}`)
}
