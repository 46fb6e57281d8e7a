import type { EventView } from '../agent/api.ts'
import { recordsOf } from '../journal/prove-file.ts'
import { call } from './client.ts'
import type { Globals } from './globals.ts'

const pageSize = 1000

/** All records of a journal, oldest first: of a file that no agent has open, else of the agent's. */
export const recordsIn = (
  globals: Globals,
  file: string | undefined,
): AsyncIterable<EventView> | Iterable<EventView> => (file === undefined ? recordsOfAgent(globals) : recordsOf(file))

export async function* recordsOfAgent(globals: Globals): AsyncGenerator<EventView, void, undefined> {
  for (let after = 0; ;) {
    const page = await call<EventView[]>(globals, 'GET', `/v1/events?after=${after}&limit=${pageSize}`)
    yield* page
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return
    after = last.seq
  }
}
