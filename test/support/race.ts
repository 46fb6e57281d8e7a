import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
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
/** What an attack may make us say; the last is an answer at a socket that the attacker linked. */
const refusals = new Set(['directory-unsafe', 'file-unsafe', 'file-failed', 'state-in-use'])

/**
 * `inside`: root, in our directory. `above`: root, on the directory itself. `stranger`: another user beside it, in a directory
 * that all may write.
 */
export type Attacker = 'inside' | 'above' | 'stranger'

export interface RaceOptions {
  /** One step each: a file written, a socket made, ... */
  readonly rounds: number
  /** Ends it before its rounds are done. */
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

/** Work in a directory while another process swaps what is in it for links to canaries. */
export async function race({ rounds, limitMs = Infinity, attacker }: RaceOptions): Promise<RaceFound> {
  const home = mkdtempSync('/tmp/kwt-race-')
  chmodSync(home, 0o711)
  const outside = layOut(join(home, 'outside'))
  const before = portrait(outside)
  const parent = join(home, 'parent')
  mkdirSync(parent)
  chmodSync(parent, attacker === 'stranger' ? 0o1777 : 0o700)
  const state = join(parent, 'state')
  mkdirSync(state, { mode: 0o700 })
  const swapper = start(attacker, attacker === 'inside' ? state : parent, outside)
  const outcomes: Record<string, number> = {}
  const breaches: string[] = []
  const endAt = performance.now() + limitMs
  let done = 0
  let dir = SafeDir.open(state)
  const takeStep = async (step: string, does: Step) => {
    const outcome = await outcomeOf(does)
    outcomes[`${step}: ${outcome.code}`] = (outcomes[`${step}: ${outcome.code}`] ?? 0) + 1
    if (outcome.breach !== undefined) breaches.push(`round ${String(done)}, ${step}: ${outcome.breach}`)
    if (done % 5000 === 0) breaches.push(...differences(before, portrait(outside)))
    done += 1
  }
  try {
    if (swapper.stdout !== null) await once(swapper.stdout, 'data')
    for (let turn = 0; done < rounds && performance.now() < endAt && breaches.length === 0; turn += 1) {
      if (attacker === 'above')
        await takeStep('open', () =>
          now(() => {
            const again = SafeDir.open(state, { create: true })
            dir.close()
            dir = again
          }),
        )
      // SQLite goes by the path of the directory, so who may replace that can make it open another.
      const steps = stepsOf(dir, parent, attacker === 'above' ? 1 : turn)
      for (const [step, does] of Object.entries(steps)) await takeStep(step, does)
    }
  } finally {
    dir.close()
    const gone = once(swapper, 'exit')
    swapper.kill('SIGKILL')
    await gone
  }
  breaches.push(...differences(before, portrait(outside)))
  rmSync(home, { recursive: true, force: true })
  return { rounds: done, outcomes, breaches }
}

type Step = () => Promise<unknown>

function stepsOf(dir: SafeDir, parent: string, round: number): Record<string, Step> {
  return {
    write: () => dir.write('file', ours),
    read: async () => {
      const text = await dir.readText('file')
      if (text !== undefined && text !== ours && text !== '') throw new Error(`read ${text}`)
    },
    remove: () => dir.remove('file'),
    lock: () =>
      now(() => {
        lockDirectory(dir).release()
      }),
    fifo: () =>
      now(() => {
        closeSync(dir.makeFifo('fifo'))
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
      await dir.removeDirectory('tree')
    },
    list: () => dir.list(),
    beside: () =>
      now(() => {
        SafeDir.open(join(parent, names[round % names.length] ?? ''), { create: true }).close()
      }),
    ...(round % 50 === 0 ? { journal: () => journalOnce(dir) } : {}),
  }
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
    await journal.append({ kind: 'transition', router: 'r1', at: systemClock(), body: {} }).durable
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

/** What must stay as it is: a file, a directory with one, a FIFO and a socket that nobody serves. */
function layOut(outside: string): string {
  // As ours are, so that nothing but the link tells it from one of ours.
  mkdirSync(join(outside, 'directory'), { recursive: true, mode: 0o700 })
  writeFileSync(join(outside, 'file'), canary, { mode: 0o644 })
  writeFileSync(join(outside, 'directory', 'file'), canary)
  native().mkfifo(join(outside, 'fifo'), 0o644)
  const server = createServer().listen(join(outside, 'directory', 'bound'))
  // Under another name, so that closing the server leaves the socket.
  renameSync(join(outside, 'directory', 'bound'), join(outside, 'socket'))
  server.close()
  for (const name of ['file', 'fifo', 'socket', 'directory/file']) chmodSync(join(outside, name), 0o644)
  return outside
}

function start(attacker: Attacker, directory: string, outside: string): ChildProcess {
  const file = new URL('./swapper.ts', import.meta.url).pathname
  return spawn(process.execPath, [file, directory, outside, ...(attacker === 'above' ? ['state'] : names)], {
    stdio: ['ignore', 'pipe', 'ignore'],
    ...(attacker === 'stranger' ? { uid: 65_534, gid: 65_534 } : {}),
  })
}

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
