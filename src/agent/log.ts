import { pino, type DestinationStream, type Logger } from 'pino'
import type { Pseudonyms } from './pseudonym.ts'

export type { Logger }

export interface LogOptions {
  /** Puts pseudonyms in the place of router ids; undefined: ids are told as they are. */
  readonly names?: Pseudonyms | undefined
  /** In place of standard error. */
  readonly to?: DestinationStream
}

/**
 * Structured lines on standard error (systemd's journal takes them from there). Text from outside is a field, never part
 * of the message; whole configs, headers and bodies are not logged at all.
 */
export function makeLogger(level: string, agent: string, { names, to = standardError() }: LogOptions = {}): Logger {
  return pino(
    {
      level,
      base: { agent },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // The line as it is about to be written: nothing that is logged goes past it.
      hooks: names === undefined ? {} : { streamWrite: (line) => names.line(line) },
    },
    to,
  )
}

/** What it does not take, such as a file on a full disk, is tried again with the next line, up to so much: no work ends for its log. */
function standardError(): DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true, maxLength: 1024 * 1024 })
  stream.on('error', () => undefined)
  return stream
}
