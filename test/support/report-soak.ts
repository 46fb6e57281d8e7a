import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import type { JournalRecord } from '../../src/journal/record.ts'
import type { SinkSettings } from '../../src/report/settings.ts'
import { testJournal } from './journal.ts'
import type { WriterTask } from './report-writer.ts'
import { until } from './until.ts'

/** What a consumer was told, whatever the way; in the order in which it was. */
export interface ToldEvent {
  readonly id: string
  readonly event: Readonly<Record<string, unknown>> & { readonly seq: number; readonly fromSeq: number }
}

/** Starts and ends `what`, with so much time between. */
export async function during(start: () => void, end: () => void, ms: number): Promise<void> {
  start()
  await wait(ms)
  end()
}

/** The process of report-writer.ts. */
export class Writer {
  task: WriterTask
  isCurrent = false
  #child: ChildProcess | undefined

  constructor(task: WriterTask) {
    this.task = task
  }

  async start(): Promise<void> {
    this.isCurrent = false
    const program = join(import.meta.dirname, 'report-writer.ts')
    const child = spawn(process.execPath, [program, JSON.stringify(this.task)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    child.stdout.on('data', () => (this.isCurrent = child === this.#child))
    await once(child, 'spawn')
    await wait(200)
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  stop(): Promise<void> {
    return this.kill('SIGTERM')
  }
}

export interface Soak {
  readonly writer: Writer
  readonly faults: readonly (() => Promise<void>)[]
  readonly faultsMs: number
  /** Between two of them at most. */
  readonly pauseMs: number
  readonly atLeast: number
  /** A whole number from 0 on. */
  readonly below: (limit: number) => number
  /** Not there from the beginning. */
  readonly late: SinkSettings
}

/** One fault after another until every sink has all, and then a sink more. Returns all changes of role that are to be told. */
export async function soak({ writer, faults, below, late, ...limits }: Soak): Promise<JournalRecord[]> {
  const endMs = performance.now() + limits.faultsMs
  let count = 0
  while (performance.now() < endMs && !writer.isCurrent) {
    await faults[below(faults.length)]?.()
    count += 1
    await wait(below(limits.pauseMs))
  }
  expect(count).toBeGreaterThanOrEqual(limits.atLeast)
  await until('every sink has all', () => writer.isCurrent, 120_000)
  await writer.stop()

  const { task } = writer
  writer.task = { ...task, sinks: [...task.sinks, late] }
  await writer.start()
  await until('every sink has all', () => writer.isCurrent, 60_000)
  await writer.stop()

  const records = await transitionsIn(task.directory)
  expect(records.length).toBeGreaterThanOrEqual(task.transitions)
  return records
}

/** All changes of role in the journal of a writer that has ended. */
async function transitionsIn(directory: string): Promise<JournalRecord[]> {
  await using opened = testJournal(directory)
  const journal = await opened.open()
  const records: JournalRecord[] = []
  for (let after = 0; ;) {
    const page = await journal.read({ after, limit: 1000, kind: 'transition' })
    records.push(...page)
    const last = page.at(-1)
    if (last === undefined) return records
    after = last.seq
  }
}

/** What a consumer has that drops what is not newer. */
function newsByRouter(events: readonly ToldEvent[]): Map<string, ToldEvent['event'][]> {
  const news = new Map<string, ToldEvent['event'][]>()
  for (const { event } of events) {
    const known = news.get(String(event['router'])) ?? []
    if (event.seq > (known.at(-1)?.seq ?? 0)) news.set(String(event['router']), [...known, event])
  }
  return news
}

const hashes = (records: readonly object[]) => records.map((one) => ('hash' in one ? String(one.hash) : ''))

export function judgeHistory(events: readonly ToldEvent[], records: readonly JournalRecord[]): void {
  const news = newsByRouter(events)
  for (const [router, all] of Map.groupBy(records, (record) => record.router ?? '')) {
    // Nothing is missing, nothing is of another order, nothing that the journal has not.
    expect(hashes(news.get(router) ?? [])).toEqual(hashes(all))
    expect(news.get(router)?.map((event) => event['routerSeq'])).toEqual(all.map((_unused, at) => at + 1))
  }
  // What came twice bears the id that it had.
  const ids = Map.groupBy(events, ({ id }) => id)
  for (const [id, same] of ids) expect([id, new Set(hashes(same.map(({ event }) => event))).size]).toEqual([id, 1])
}

export function judgeLatest(events: readonly ToldEvent[], records: readonly JournalRecord[]): void {
  const news = newsByRouter(events)
  for (const [router, all] of Map.groupBy(records, (record) => record.router ?? '')) {
    const heard = news.get(router) ?? []
    expect(heard.at(-1)?.['hash']).toBe(all.at(-1)?.hash)
    const known = new Map(all.map((record) => [record.seq, record.hash]))
    for (const { seq, hash } of heard as { seq: number; hash?: unknown }[]) expect(hash).toBe(known.get(seq))
    // Each change is in a range that was told.
    const missed = all.filter(({ seq }) => !heard.some((event) => event.fromSeq <= seq && seq <= event.seq))
    expect(missed).toEqual([])
  }
}
