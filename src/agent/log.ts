import { pino, type DestinationStream, type Logger } from 'pino'

export type { Logger }

/**
 * Structured lines on standard error (systemd's journal takes them from there). Text from outside is a field, never part
 * of the message; whole configs and headers are not logged at all. `to`: in place of it.
 */
export function makeLogger(
  level: string,
  agent: string,
  to: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
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
