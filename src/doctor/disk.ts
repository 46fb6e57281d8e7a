import { dirname } from 'node:path'
import { run } from '../linux/run.ts'
import { failed, ok, unknown, warning, type Answer, type Check } from './check.ts'

/** The disk of the journal. Commands look at it, since a file call of our own on a stalled disk would never let us end. */
export const diskChecks: readonly Check[] = [
  {
    name: 'journal disk',
    wanted: 'a write is durable within 20 ms',
    needs: 'root',
    look: ({ config }) => latency(config.settings.paths.state),
  },
  { name: 'journal space', wanted: '512 MB free', look: ({ config }) => space(config.settings.paths.state) },
]

const writes = 16
const slowMs = 20

async function latency(statePath: string): Promise<Answer> {
  const directory = await nearest(statePath)
  const file = `${directory}/.keepward-doctor-${String(process.pid)}`
  try {
    // O_DSYNC returns when the block is on the disk; O_EXCL follows no symlink (open(2)).
    const options = ['bs=4096', `count=${String(writes)}`, 'oflag=dsync', 'conv=excl']
    const { stderr } = await run(['dd', 'if=/dev/zero', `of=${file}`, ...options], { timeoutMs: 3000 })
    return judgeLatency(stderr, directory)
  } finally {
    await run(['rm', '-f', file], { timeoutMs: 1000 })
  }
}

/** Reads what dd(1) says when it is done. */
export function judgeLatency(said: string, directory: string): Answer {
  const seconds = /, ([0-9.e-]+) s, /.exec(said)?.[1]
  if (seconds === undefined) return unknown(`dd says ${said.trim()}`, 'install coreutils')
  const eachMs = (Number(seconds) * 1000) / writes
  const found = `${eachMs.toFixed(1)} ms each in ${directory}`
  if (eachMs <= slowMs) return ok(found)
  return warning(found, 'put paths.state on a faster disk; effects wait at most 100 ms for it, records longer')
}

async function space(statePath: string): Promise<Answer> {
  const directory = await nearest(statePath)
  const { stdout } = await run(['stat', '-f', '-c', '%a %S', directory], { timeoutMs: 3000 })
  return judgeSpace(stdout, directory)
}

/** Reads free blocks and their size in bytes. */
export function judgeSpace(said: string, directory: string): Answer {
  const [blocks, blockBytes] = said.trim().split(' ').map(Number)
  const freeMb = Math.floor(((blocks ?? 0) * (blockBytes ?? 0)) / 1_000_000)
  const found = `${String(freeMb)} MB in ${directory}`
  if (freeMb >= 512) return ok(found)
  const fix = 'make room, or lower journal.maxSizeMb'
  return freeMb >= 32 ? warning(found, fix) : failed(found, fix)
}

/** The directory itself, or what will hold it once the agent makes it. */
async function nearest(path: string): Promise<string> {
  if (path === '/') return path
  const { exitCode } = await run(['test', '-d', path], { timeoutMs: 1000, exitCodes: [0, 1] })
  return exitCode === 0 ? path : nearest(dirname(path))
}
