import { pino, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/**
 * Structured lines on standard error (systemd's journal takes them from there). Text from outside is a field, never part
 * of the message; whole configs and headers are not logged at all. `to`: in place of it.
 */
export function makeLogger(level: string, agent: string, to: DestinationStream = standardError()): Logger {
  return pino(
    {
      level,
      base: { agent },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
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
