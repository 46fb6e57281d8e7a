import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../base/error.ts'
import type { ProcessHandle } from '../linux/process.ts'
import type { KeepalivedFeatures } from './features.ts'
import { parseDump, type KeepalivedView } from './dump.ts'
import { dumpFile, homeFiles, type KeepalivedHome } from './home.ts'
import { viewKeepalived } from './process.ts'
import { childReadyFor } from './signal-readiness.ts'

export interface AskOptions {
  /** 3000 ms. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
}

/**
 * Asks a running keepalived for its own view of the router `instance`; one question to a process at a time. Throws
 * `keepalived-silent` when it is stopped, ends or says nothing within the deadline, `keepalived-failed` when its answer
 * cannot be understood.
 */
export function askKeepalived(
  home: KeepalivedHome,
  process: ProcessHandle,
  features: Pick<KeepalivedFeatures, 'dumpSignal'>,
  instance: string,
  options: AskOptions = {},
): Promise<KeepalivedView> {
  const ask = () => askNow(home, process, features.dumpSignal, instance, options)
  const answer = (pending.get(process) ?? Promise.resolve()).then(ask, ask)
  pending.set(process, answer)
  return answer
}

/** The last question to each process: all share one file for the answer. */
const pending = new WeakMap<ProcessHandle, Promise<unknown>>()

async function askNow(
  home: KeepalivedHome,
  process: ProcessHandle,
  dumpSignal: number,
  instance: string,
  options: AskOptions,
): Promise<KeepalivedView> {
  await refuseStopped(home, process)
  const deadline = performance.now() + (options.deadlineMs ?? 3000)
  const directory = home.sub(homeFiles.dumpDirectory, { create: true })
  try {
    // An answer to an earlier question is no answer.
    await directory.remove(dumpFile)
    let asked: Asked | undefined
    let unsafe: KeepwardError | undefined
    // keepalived may be writing it just now: what lasts is told.
    const unlessUnsafe = (error: unknown): undefined => {
      if (!(error instanceof KeepwardError) || error.code !== 'file-unsafe') throw error
      unsafe = error
    }
    // An answer takes keepalived some 2 ms, more when the processor is busy: few looks find it.
    for (let pauseMs = 3; performance.now() < deadline; pauseMs = Math.min(pauseMs + 3, 20)) {
      if (asked === undefined || performance.now() >= asked.lookAt) asked = repeatIfDue(process, dumpSignal, asked)
      await wait(pauseMs, undefined, options.signal === undefined ? {} : { signal: options.signal })
      const view = asked === undefined ? undefined : await readAnswer(directory, instance).catch(unlessUnsafe)
      if (view !== undefined) return view
      if (!process.alive()) throw silent(process, 'ended')
    }
    throw unsafe ?? silent(process, 'does not answer')
  } finally {
    directory.close()
  }
}

interface Asked {
  readonly child: number
  /** When the child is looked at again. */
  readonly lookAt: number
  readonly repeatAt: number
  readonly pauseMs: number
}

/** A child that died took the question with it, and one that reloads loses it. The parent passes the signal on. */
function repeatIfDue(process: ProcessHandle, dumpSignal: number, asked: Asked | undefined): Asked | undefined {
  const child = childReadyFor(process, dumpSignal)
  if (child === undefined) return asked
  const again = child === asked?.child
  const now = performance.now()
  const lookAt = now + lookMs
  if (again && now < asked.repeatAt) return { ...asked, lookAt }
  process.signal(dumpSignal)
  const pauseMs = again ? asked.pauseMs * 2 : 150
  return { child, pauseMs, lookAt, repeatAt: now + pauseMs }
}

const lookMs = 30

/** A question to a stopped process would wait for it in the kernel, one more each time. */
async function refuseStopped(home: KeepalivedHome, process: ProcessHandle): Promise<void> {
  const view = await viewKeepalived(home, process)
  if (view.kind !== 'running') throw silent(process, 'ended')
  if (view.stopped) throw silent(process, 'is stopped (state T)')
}

async function readAnswer(
  directory: Pick<KeepalivedHome, 'readText'>,
  instance: string,
): Promise<KeepalivedView | undefined> {
  const text = await directory.readText(dumpFile)
  const dump = text === undefined ? undefined : parseDump(text)
  if (dump?.kind !== 'complete') return undefined
  const view = dump.views.find((candidate) => candidate.instance === instance)
  if (view !== undefined) return view
  throw new KeepwardError('keepalived-failed', `keepalived's dump does not name router ${instance}`)
}

function silent(process: ProcessHandle, says: string): KeepwardError {
  return new KeepwardError('keepalived-silent', `keepalived ${process.pid} ${says}`)
}
