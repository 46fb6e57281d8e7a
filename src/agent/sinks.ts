import { KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import { describeSource, type SecretSource } from '../base/secret-source.ts'
import type { Secret } from '../base/secret.ts'
import type { SinkEntry } from '../config/sink-schema.ts'
import { readSecret } from '../linux/read-secret.ts'
import { readRootText } from '../linux/root-file.ts'
import { judgeSinks } from '../report/judge.ts'
import { openSink } from '../report/open.ts'
import { Reporting } from '../report/reporting.ts'
import type { Heartbeat } from '../report/sink.ts'
import { heldUntilMonoMs } from '../router/flap.ts'
import { parseRouterId } from '../router/spec.ts'
import type { Vault } from '../vault/vault.ts'
import type { Agent } from './agent.ts'

export interface SinksParts {
  readonly settings: readonly SinkEntry[]
  readonly agent: Pick<Agent, 'journal' | 'status' | 'noteTrouble' | 'recorder' | 'routers' | 'reportBy'>
  readonly vault: Vault | undefined
  readonly clock: Clock
}

const judgeEveryMs = 1000
/** All of a system's CA certificates are shorter. */
const maxFileBytes = 1024 * 1024

/** Report to every sink of the config. Returns how to stop. */
export function startSinks({ settings, agent, vault, clock }: SinksParts): () => Promise<void> {
  const { id, version } = agent.status().agent
  const told = new Set<string>()
  const secretOf = async (source: SecretSource): Promise<Secret> => {
    const secret = source.kind === 'vault' ? await fromVault(vault, source) : await readSecret(source)
    // It is read at each connection: on record once.
    const from = describeSource(source)
    if (!told.has(from)) agent.recorder.secretRead(source, 'sink')
    told.add(from)
    return secret
  }
  const routerOf = (router: string) => {
    const known = parseRouterId(router)
    return known === undefined ? undefined : agent.routers.get(known)?.router
  }
  const reporting = new Reporting({
    settings,
    open: openSink,
    tools: { agent: id, version, readSecret: secretOf, readFile: (path) => readRootText(path, maxFileBytes) },
    journal: agent.journal,
    routers: () => new Set<string>(agent.routers.queues.map((queue) => queue.id)),
    beat: () => beatOf(agent),
    advertisementIntervalMs: (router) => routerOf(router)?.wanted?.advertisementIntervalMs,
    heldUntilMs: (router) => {
      const flaps = routerOf(router)?.flaps
      const untilMs = flaps === undefined ? undefined : heldUntilMonoMs(flaps)
      return untilMs === undefined ? undefined : performance.now() + untilMs - clock().monoMs
    },
  })
  agent.reportBy(reporting)
  const judge = () => {
    const troubles = judgeSinks(reporting.status)
    agent.noteTrouble('sinks', troubles.length === 0 ? undefined : troubles)
  }
  const timer = setInterval(judge, judgeEveryMs)
  return async () => {
    clearInterval(timer)
    await reporting[Symbol.asyncDispose]()
  }
}

function fromVault(vault: Vault | undefined, source: Extract<SecretSource, { kind: 'vault' }>): Promise<Secret> {
  if (vault !== undefined) return vault.read(source)
  // The rules of the config have seen to it.
  throw new KeepwardError('internal', `The agent has no login to Vault, where ${describeSource(source)} is`)
}

function beatOf(agent: Pick<Agent, 'journal' | 'status'>): Heartbeat {
  const { agent: self, asOfMs, health, conditions, routers } = agent.status()
  const roles = { primary: 0, backup: 0, fault: 0, unknown: 0 }
  for (const { role } of routers) roles[role] += 1
  return {
    agent: self.id,
    version: self.version,
    epoch: agent.journal.epoch,
    boot: self.boot,
    seq: agent.journal.status.durableSeq,
    configDigest: self.configDigest,
    health,
    conditions: conditions.map(({ code }) => code),
    roles,
    atMs: asOfMs,
  }
}
