import { measurements, sentText, type ServerFigures } from './figures.ts'
import { failuresOf, sendLoad, type Load } from './load.ts'
import type { Server } from './peer.ts'

/** What one server was measured at, round by round. */
export interface Throughput {
  readonly rounds: readonly ServerFigures[]
  readonly failures: number
}

/** How often and how long to measure, and whom to tell. */
export interface Pace {
  readonly rounds: number
  /** Of each load. */
  readonly seconds: number
  readonly say: (text: string) => void
}

/** Each load on one server right after the other; who is first alternates. What each server gave, in their order. */
export async function measureThroughput(
  program: string,
  servers: readonly Server[],
  { rounds, seconds, say }: Pace,
): Promise<Throughput[]> {
  const gathering = servers.map((server) => ({ server, rounds: Array.of<ServerFigures>(), failures: 0 }))
  for (const { server } of gathering) await sendLoad(program, server.socket, practice)
  for (let round = 0; round < rounds; round++) {
    for (const one of gathering) one.rounds.push({})
    for (const { load, read } of measurements(seconds)) {
      for (const one of round % 2 === 0 ? gathering : gathering.toReversed()) {
        const sent = await sendLoad(program, one.server.socket, load)
        say(sentText(one.server.name, load, sent))
        one.failures += failuresOf(sent)
        one.rounds[round] = { ...one.rounds[round], ...read(sent) }
      }
    }
  }
  return gathering
}

/** The code that runs ever after is compiled by then. */
export const practice: Load = { mode: 'close', clients: 64, seconds: 2 }
