import { jetstreamManager, type StreamConfig, type StreamInfo } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/nats-core/internal'
import { KeepwardError } from '../../base/error.ts'
import { excerpt } from './connect.ts'
import { isNoSuchStream, isUnheard } from './failure.ts'
import {
  agentApi,
  descriptionOf,
  differences,
  layoutVersion,
  maxReportBytes,
  streams,
  versionIn,
  type StreamLayout,
} from './layout.ts'
import { requestDeadlineMs } from './link.ts'

export interface SetupOptions {
  /** Undefined: as a stream has them; of a new one 3 in a cluster, 1 elsewhere. */
  readonly replicas: 1 | 3 | undefined
}

/** What was found of a stream, and done about it. */
export interface Done {
  readonly stream: string
  readonly what: 'created' | 'changed' | 'right' | 'newer'
  readonly replicas: number
  /** Of what was changed, how it was. */
  readonly details: readonly string[]
}

/**
 * Make what agents need, with the rights of an operator; what is right stays, and what a newer Keepward made. Throws `nats-failed` when the
 * server refuses, or when a stream of that name is none of ours.
 */
export async function setUpNats(connection: NatsConnection, { replicas }: SetupOptions): Promise<readonly Done[]> {
  const small = tooSmall(connection)
  if (small !== undefined) throw new KeepwardError('nats-failed', small)
  // A server that stands alone takes the number, and keeps one.
  if (replicas === 3 && connection.info?.cluster === undefined)
    throw new KeepwardError('nats-failed', 'Three replicas need a cluster of three servers, and this one stands alone')
  const done: Done[] = []
  for (const layout of streams) done.push(await setUp(connection, layout, replicas))
  return done
}

async function setUp(
  connection: NatsConnection,
  layout: StreamLayout,
  replicas: SetupOptions['replicas'],
): Promise<Done> {
  const { name } = layout.kind
  const wanted = { ...layout.kind, description: descriptionOf(layout) }
  try {
    const found = await infoOf(connection, name)
    const manager = await managerOf(connection)
    if (found === undefined) {
      const num_replicas = replicas ?? (connection.info?.cluster === undefined ? 1 : 3)
      await manager.streams.add({ ...wanted, ...layout.limits, num_replicas })
      return { stream: name, what: 'created', replicas: num_replicas, details: [] }
    }
    const version = versionIn(found.config.description)
    if (version === undefined) throw notOurs(name)
    const is = found.config.num_replicas
    if (version > layoutVersion) return { stream: name, what: 'newer', replicas: is, details: [] }
    const change = { ...wanted, num_replicas: replicas ?? is }
    const details = differences(change, found.config)
    if (details.length > 0) await manager.streams.update(name, change)
    return { stream: name, what: details.length > 0 ? 'changed' : 'right', replicas: change.num_replicas, details }
  } catch (error) {
    if (error instanceof KeepwardError) throw error
    throw new KeepwardError('nats-failed', `Stream ${name} cannot be made as it must be: ${excerpt(error)}`, {
      hint: 'are these the operator’s credentials, is JetStream on with room for it, and are there as many servers as replicas?',
    })
  }
}

const notOurs = (name: string): KeepwardError =>
  new KeepwardError('nats-failed', `There is a stream ${name} that Keepward did not make`, {
    hint: 'its description does not begin with “Keepward layout”; remove it, or use another account of the server',
  })

/** That the server would drop the connection over a long report, as it has said with its first line; undefined: it takes each. */
export function tooSmall({ info }: NatsConnection): string | undefined {
  // Whoever it is may have said anything there.
  const is: unknown = info?.max_payload
  if (typeof is === 'number' && is >= maxReportBytes) return undefined
  const said = typeof is === 'number' ? `${String(is)} bytes` : 'not said'
  return `max_payload of the server is ${said}, must be ${String(maxReportBytes)} or more in its config`
}

/** Only look. What is wrong, as sentences; none: an agent can work. Rejects when nobody answers. */
export async function checkNats(connection: NatsConnection): Promise<readonly string[]> {
  const found = await Promise.all(streams.map(({ kind }) => infoForAgent(connection, kind.name)))
  return streams.flatMap((layout, at) => wrongWith(layout, found[at]))
}

function wrongWith(layout: StreamLayout, info: StreamInfo | undefined): readonly string[] {
  const { name } = layout.kind
  if (info === undefined) return [`stream ${name} is missing`]
  const version = versionIn(info.config.description)
  if (version === undefined) return [`stream ${name} is none that Keepward made`]
  if (version < layoutVersion) return [`stream ${name} has the layout of an older Keepward`]
  // A newer layout still has the subjects of this one, or else others.
  const subjects: Partial<StreamConfig> = { name, subjects: layout.kind.subjects }
  const wrong = differences(version > layoutVersion ? subjects : layout.kind, info.config)
  return wrong.map((what) => `stream ${name}: ${what}`)
}

/** As an agent asks: in an account of its own, and else in that of the streams. `subjects`: of which to count messages. Undefined: there is no such stream. */
export async function infoForAgent(
  connection: NatsConnection,
  name: string,
  subjects?: string,
): Promise<StreamInfo | undefined> {
  try {
    return await infoOf(connection, name, agentApi, subjects)
  } catch (error) {
    if (!isUnheard(error)) throw error
    return infoOf(connection, name, ownApi, subjects)
  }
}

async function infoOf(
  connection: NatsConnection,
  name: string,
  api = ownApi,
  subjects?: string,
): Promise<StreamInfo | undefined> {
  try {
    const manager = await managerOf(connection, api)
    return await manager.streams.info(name, subjects === undefined ? undefined : { subjects_filter: subjects })
  } catch (error) {
    if (isNoSuchStream(error)) return undefined
    throw error
  }
}

const ownApi = '$JS.API'

const managerOf = (connection: NatsConnection, apiPrefix = ownApi) =>
  jetstreamManager(connection, { apiPrefix, checkAPI: false, timeout: requestDeadlineMs })
