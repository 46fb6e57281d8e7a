import { once } from 'node:events'
import { connect } from 'node:net'
import { errnoOf } from '../../../src/base/error.ts'
import { bootTimeNs } from '../../../src/linux/boot-clock.ts'
import { exchange } from '../state-change.ts'
import { fuzz } from './fuzz.ts'
import type { Order, Report } from './sender.ts'
import { storm } from './storm.ts'

/** What a sender can be told to do. */
export const tasks = {
  /** What connect(2) says: undefined, or its error. */
  connect: async (path: string): Promise<string | undefined> => {
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return undefined
    } catch (error) {
      return errnoOf(error)
    } finally {
      socket.destroy()
    }
  },

  /** Send each of these texts on a connection of its own, all at once. */
  exchanges: ({ path, texts, forMs = 3000 }: { path: string; texts: readonly string[]; forMs?: number }) =>
    Promise.all(
      texts.map(async (text) => {
        const startedMs = performance.now()
        const reply = await exchange(path, text, { forMs })
        return { reply, tookMs: performance.now() - startedMs }
      }),
    ),

  storm,
  fuzz,
}

const [uid = 0, gid = 0, ...groups] = process.argv.slice(2).map(Number)
// All that is read from files is read as root: another user may not be able to reach this directory.
bootTimeNs()
process.setgroups?.(groups)
process.setgid?.(gid)
process.setuid?.(uid)
process.on('disconnect', () => {
  process.exit()
})
process.on('message', (order: Order) => void carryOut(order))
process.send?.('ready')

async function carryOut({ id, task, input }: Order): Promise<void> {
  try {
    const work = tasks[task] as (input: unknown) => Promise<unknown>
    tell({ id, result: await work(input) })
  } catch (error) {
    tell({ id, failure: String(error instanceof Error ? error.stack : error) })
  }
}

function tell(report: Report): void {
  process.send?.(report)
}
