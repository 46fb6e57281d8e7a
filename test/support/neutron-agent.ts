import { Reporter } from '../../src/report/reporter.ts'
import type { Sink } from '../../src/report/sink.ts'
import { heartbeat } from './far-end.ts'
import { testJournal, transition } from './journal.ts'

export interface Telling extends AsyncDisposable {
  readonly reporter: Reporter
  /** What the journal says of each router, as Neutron has it. */
  readonly newest: ReadonlyMap<string, string>
  append(router: string, to: 'primary' | 'backup'): Promise<unknown>
  /** All is told. */
  isQuiet(): boolean
}

/** A reporter with a journal of its own, which repeats nothing on a timer. */
export async function telling(sink: Sink): Promise<Telling> {
  const store = testJournal()
  const journal = await store.open()
  const newest = new Map<string, string>()
  const reporter = await Reporter.start({
    ...{ journal, sink, name: 'neutron', delivery: 'latest', repeatMs: 3_600_000 },
    routers: () => new Set(newest.keys()),
    beat: () => heartbeat,
    heldUntilMs: () => undefined,
  })
  return {
    reporter,
    newest,
    append: (router, to) => {
      newest.set(router, to === 'primary' ? 'active' : 'standby')
      return journal.append(transition(router, { from: 'unknown', to })).durable
    },
    isQuiet: () => reporter.status.waiting === 0,
    async [Symbol.asyncDispose]() {
      await reporter[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}

/** Of each router what was handled last. */
export const lastOf = (states: Readonly<Record<string, readonly string[]>>): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(states).map(([router, said]) => [router, said.at(-1)]))
