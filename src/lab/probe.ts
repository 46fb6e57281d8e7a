import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { KeepwardError } from '../base/error.ts'
import { inNamespace } from '../linux/in-namespace.ts'
import { openNamespace } from '../linux/netns.ts'
import { cleanEnvironment } from '../linux/run.ts'
import { clientNamespace } from './topology.ts'

/** What a client saw of an address. */
export interface ProbeResult {
  readonly address: string
  /** As ping(8) counts them: it may pause longer than asked. */
  readonly sent: number
  readonly answered: number
  /** The longest time between two answers, or until the first; resolution: the interval. */
  readonly longestGapMs: number
  /** Unix times of the answers on both sides of it. */
  readonly gapFromMs: number
  readonly gapUntilMs: number
  /** As it was, on average. */
  readonly intervalMs: number
}

export interface Probe {
  /** Resolves with the Unix time of the first answer. */
  readonly answering: Promise<number>
  /** End it and say what was seen. */
  stop(): Promise<ProbeResult>
}

/** Ping an address from the lab's client until stopped, `maxSeconds` at most. Throws `lab-failed` without ping(8). */
export function startProbe(
  lab: string,
  address: string,
  options: { readonly intervalMs: number; readonly maxSeconds: number },
): Probe {
  using namespace = openNamespace(clientNamespace(lab))
  const { intervalMs, maxSeconds } = options
  const count = Math.ceil((maxSeconds * 1000) / intervalMs)
  // -D prints the time of each answer; -n asks no name server; -W bounds the wait for the last one.
  const words = [
    '-n',
    '-D',
    '-i',
    String(intervalMs / 1000),
    '-c',
    String(count),
    '-w',
    String(maxSeconds),
    '-W',
    '1',
    address,
  ]
  const child = inNamespace(namespace.fd, () =>
    spawn('ping', words, { stdio: ['ignore', 'pipe', 'ignore'], env: cleanEnvironment }),
  )
  const startedMs = Date.now()
  const answers: number[] = []
  let sent = 0
  const first = Promise.withResolvers<number>()
  first.promise.catch(() => undefined)
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    sent = Number(/^(\d+) packets transmitted/.exec(line)?.[1] ?? sent)
    const at = /^\[(\d+\.\d+)\] \d+ bytes from /.exec(line)?.[1]
    if (at === undefined) return
    answers.push(Number(at) * 1000)
    first.resolve(Number(at) * 1000)
  })
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => {
      first.reject(new KeepwardError('lab-failed', 'Cannot run ping', { hint: 'install iputils-ping' }))
      resolve()
    })
    child.on('close', () => {
      first.reject(new KeepwardError('lab-failed', `${address} never answered`))
      resolve()
    })
  })
  return {
    answering: first.promise,
    stop: async () => {
      child.kill('SIGINT')
      await ended
      const endedMs = Date.now()
      const gap = longestGap(startedMs, answers, endedMs)
      return { address, sent, answered: answers.length, ...gap, intervalMs: Math.round((endedMs - startedMs) / sent) }
    },
  }
}

/** The longest time without an answer, the one before the first and the one after the last included. */
export function longestGap(
  startedMs: number,
  answers: readonly number[],
  endedMs: number,
): Pick<ProbeResult, 'longestGapMs' | 'gapFromMs' | 'gapUntilMs'> {
  let gap = { longestGapMs: 0, gapFromMs: startedMs, gapUntilMs: startedMs }
  let before = startedMs
  for (const at of [...answers, endedMs]) {
    if (at - before > gap.longestGapMs) gap = { longestGapMs: at - before, gapFromMs: before, gapUntilMs: at }
    before = at
  }
  return gap
}
