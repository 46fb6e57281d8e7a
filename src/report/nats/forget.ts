import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core/internal'
import { KeepwardError } from '../../base/error.ts'
import { failureOf } from './failure.ts'
import { agentBucket, heartbeatSubject, stateBucket, statesOf, streamOfBucket } from './layout.ts'
import { Link, requestDeadlineMs } from './link.ts'
import { operatorInbox } from './permissions.ts'

/**
 * Remove what the bucket of states has of an agent that is gone for good, with the rights of an operator. Returns how many entries that were, with
 * those of routers that it ran no more. Throws `request-invalid` while its heartbeat is there, `nats-failed` when the server refuses.
 */
export async function forgetAgent(connection: NatsConnection, agent: string): Promise<number> {
  try {
    const link = new Link(connection, operatorInbox)
    const beat = await link.last(streamOfBucket(agentBucket), heartbeatSubject(agent))
    if (beat?.data !== undefined)
      throw new KeepwardError('request-invalid', `${agent} has told within the last minute that it lives`, {
        hint: 'stop it for good, and wait for a minute',
      })
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: requestDeadlineMs })
    const filter = `${statesOf(agent)}.>`
    return (await manager.streams.purge(streamOfBucket(stateBucket), { filter })).purged
  } catch (error) {
    throw failureOf(error)
  }
}
