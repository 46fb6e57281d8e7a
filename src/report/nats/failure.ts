import { JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/nats-core/internal'
import { KeepwardError } from '../../base/error.ts'
import { excerpt } from './connect.ts'

/** Of nats-server: server/errors.json. */
const code = {
  messageTooLong: 10054,
  headersTooLong: 10097,
  wrongRevision: 10071,
  wrongRevisionUnknown: 10164,
  noSuchStream: 10059,
} as const

const tooLong: readonly number[] = [code.messageTooLong, code.headersTooLong]
const wrongRevision: readonly number[] = [code.wrongRevision, code.wrongRevisionUnknown]

export const isWrongRevision = (error: unknown): boolean =>
  error instanceof JetStreamApiError && wrongRevision.includes(error.code)

export const isNoSuchStream = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.code === code.noSuchStream

/** Nobody listens to what was asked. */
export const isUnheard = (error: unknown): boolean =>
  error instanceof errors.NoRespondersError || (error instanceof Error && error.name === 'JetStreamNotEnabled')

/**
 * Why a report was not taken: `report-refused` only for what no retry can mend, which is its length. A full disk, a cluster without a leader and
 * a right that is missing all end some day.
 */
export function failureOf(error: unknown): KeepwardError {
  if (error instanceof KeepwardError) return error
  if (error instanceof JetStreamApiError && tooLong.includes(error.code))
    return new KeepwardError('report-refused', `The stream takes no message of this length: ${excerpt(error)}`)
  // The library looks at the server's max_payload before it sends.
  if (error instanceof errors.InvalidArgumentError && error.message.includes('max_payload'))
    return new KeepwardError('report-refused', 'The server takes no message of this length (max_payload)')
  return new KeepwardError('nats-failed', `NATS did not take it: ${excerpt(error)}`)
}

/** Nobody answered, or nobody who keeps the stream: whether it is there at all has to be asked. */
export const isDoubtful = (error: unknown, failure: KeepwardError): boolean =>
  error !== failure && failure.code !== 'report-refused' && !(error instanceof JetStreamApiError)
