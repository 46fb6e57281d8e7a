import { setTimeout as wait } from 'node:timers/promises'
import { KeepwardError } from '../../src/base/error.ts'
import { rounded } from '../result.ts'
import { milliseconds } from './figures.ts'
import { failuresOf, sendLoad, type Load } from './load.ts'
import { stranger } from './ours.ts'
import type { Server } from './peer.ts'

/** A trickle of root's in quiet, and beside a flood of another user's. */
export interface Isolation {
  /** p99 beside the flood over p99 in quiet. */
  readonly p99Ratio: number
  readonly quietP99Ms: number
  readonly floodedP99Ms: number
  /** Requests of the flood that got an answer, of whatever kind, a second. */
  readonly floodRps: number
  /** Of the trickle, in both. */
  readonly failures: number
}

export async function measureIsolation(program: string, server: Server, seconds: number): Promise<Isolation> {
  const trickle: Load = { mode: 'paced', clients: 64, everyMs: 5, seconds }
  const quiet = await sendLoad(program, server.socket, trickle)
  const floodSeconds = seconds + 2
  const flood: Load = { mode: 'close', clients: 64, seconds: floodSeconds, uid: stranger }
  const flooding = sendLoad(program, server.socket, flood)
  await wait(1000)
  const [flooded, poured] = await Promise.all([sendLoad(program, server.socket, trickle), flooding])
  if (poured.connectError === 'Permission denied')
    throw new KeepwardError('lab-failed', `The flood does not reach ${server.name}: ${poured.connectError}`)
  const quietP99Ms = milliseconds(quiet.p99Us)
  const floodedP99Ms = milliseconds(flooded.p99Us)
  return {
    p99Ratio: rounded(floodedP99Ms / quietP99Ms),
    quietP99Ms,
    floodedP99Ms,
    floodRps: rounded(poured.answered / floodSeconds),
    failures: failuresOf(quiet) + failuresOf(flooded),
  }
}
