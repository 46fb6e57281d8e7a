import { KeepwardError } from '../base/error.ts'
import { describeSource, type LocalSource, type SecretSource } from '../base/secret-source.ts'
import type { Secret } from '../base/secret.ts'
import type { Clock } from '../base/instant.ts'
import type { SenderEntry, StateChangeEntry } from '../config/state-change-schema.ts'
import type { Journal } from '../journal/journal.ts'
import { accountNumber } from '../linux/account.ts'
import { bootTimeNs } from '../linux/boot-clock.ts'
import { readSecret } from '../linux/read-secret.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { parseRouterId } from '../router/spec.ts'
import { Audit } from '../statechange/audit.ts'
import { maxSkewMs } from '../statechange/freshness.ts'
import { keyOfFile } from '../statechange/key-file.ts'
import { masterKeyName, MasterKey, secretFinder } from '../statechange/keys.ts'
import type { Policy, Rule } from '../statechange/policy.ts'
import { Receiver } from '../statechange/receiver.ts'
import type { Claims } from './claims.ts'
import type { VaultKey } from './vault-keys.ts'
import { serveStateChanges, type Access } from '../statechange/server.ts'

export interface StateChangeParts {
  readonly settings: StateChangeEntry
  readonly access: Access
  /** The state directory. */
  readonly dir: SafeDir
  readonly claims: Claims
  readonly journal: Journal
  readonly boot: string
  readonly clock: Clock
  /** The socket cannot be made now; undefined: it can again. */
  readonly onTrouble: (text: string | undefined) => void
}

/** What runs once the socket is there. */
export interface StateChanges {
  readonly receiver: Receiver
  readonly master: MasterKey
  /** The keys that were read, where each came from, and under which id it speaks. */
  readonly secrets: readonly { readonly source: SecretSource; readonly of: string }[]
  /** Keys that Vault keeps, to be handed in once they are read. */
  readonly later: readonly VaultKey[]
  addKey(id: string, key: Secret): void
  close(): Promise<void>
}

/** Serve the state-change socket as the config says. Throws what makes it impossible; the agent does not start then. */
export async function startStateChanges(parts: StateChangeParts): Promise<StateChanges> {
  const { settings, claims, clock, boot, dir, access, onTrouble } = parts
  const policy: Policy = { ownUid: process.geteuid?.() ?? 0, rules: await Promise.all(settings.senders.map(ruleOf)) }
  const audit = new Audit(
    (entry) => {
      claims.audit(entry)
    },
    (router) => claims.knows(router),
  )
  const named = await namedKeys(settings.senders)
  const master = await MasterKey.open(dir, clock().wallMs)
  const receiver = new Receiver({
    policy,
    limits: {
      trusted: rateOf(settings.trusted.perSecond),
      others: rateOf(settings.others.perSecond),
      perRouter: settings.perRouter,
    },
    unknownRouters: settings.unknownRouters,
    secretsOf: secretFinder(() => master.at(clock().wallMs), named),
    listener: claims,
    audit,
    boot,
    clock,
    bootMs: () => Number(bootTimeNs() / 1_000_000n),
  })
  await restoreSequences(parts.journal, receiver, clock().wallMs)
  const connections = { trusted: settings.trusted.connections, others: settings.others.connections }
  const server = await serveStateChanges({ receiver, audit, policy, connections, dir, access, onTrouble })
  claims.servedBy(server)
  const secrets = [
    { source: { kind: 'file', path: dir.pathOf(masterKeyName) } as const, of: 'master' },
    ...settings.senders.flatMap(({ key }) =>
      key === undefined || key.source.kind === 'vault' ? [] : [{ source: key.source, of: key.id }],
    ),
  ]
  const later = settings.senders.flatMap(({ key }) =>
    key?.source.kind === 'vault' ? [{ id: key.id, source: key.source }] : [],
  )
  return {
    ...{ receiver, master, secrets, later },
    addKey: (id, key) => named.set(id, [key]),
    close: () => server.close(),
  }
}

/**
 * What was taken in the last minute is not taken again: an older message is refused by its age. A journal that cannot be read
 * now leaves that minute open to a repetition, which tells nothing new: the kernel is looked at in any case.
 */
async function restoreSequences(journal: Journal, receiver: Receiver, nowMs: number): Promise<void> {
  // There is no index of claims of all routers: so many records are walked at most.
  const after = Math.max(0, journal.status.durableSeq - maxWalked)
  for (let until = Infinity; ;) {
    const page = { kind: 'claim', after, until, limit: 1000, newestFirst: true } as const
    const records = await journal.read(page).catch(() => [])
    for (const { body } of records) {
      const router = typeof body['router'] === 'string' ? parseRouterId(body['router']) : undefined
      const { sequence } = body
      if (router !== undefined && typeof sequence === 'string') receiver.restore(router, BigInt(sequence))
    }
    const oldest = records.at(-1)
    if (oldest === undefined || oldest.at.wallMs < nowMs - 2 * maxSkewMs) return
    until = oldest.seq - 1
  }
}

const maxWalked = 50_000

/** A second's worth at once. */
const rateOf = (perSecond: number) => ({ perSecond, burst: perSecond })

/** Who may open the socket, by the config. Throws `config-invalid` when there is no such group. */
export async function accessOf({ socketGroup, openToAll }: StateChangeEntry): Promise<Access> {
  if (openToAll === true) return { kind: 'everyone' }
  return socketGroup === undefined ? { kind: 'own' } : { kind: 'group', gid: await numberOf('group', socketGroup) }
}

async function ruleOf(entry: SenderEntry): Promise<Rule> {
  return {
    who: await whoOf(entry),
    routers: entry.routers === undefined ? 'all' : new Set(entry.routers),
    states: entry.states === undefined ? 'all' : new Set(entry.states),
  }
}

async function whoOf({ user, uid, group, gid, key }: SenderEntry): Promise<Rule['who']> {
  if (key !== undefined) return { kind: 'key', key: key.id }
  if (uid !== undefined) return { kind: 'user', uid }
  if (gid !== undefined) return { kind: 'group', gid }
  if (user !== undefined) return { kind: 'user', uid: await numberOf('passwd', user) }
  return { kind: 'group', gid: await numberOf('group', group ?? '') }
}

async function numberOf(database: 'passwd' | 'group', name: string): Promise<number> {
  const number = await accountNumber(database, name)
  if (number !== undefined) return number
  const what = database === 'group' ? 'group' : 'user'
  throw new KeepwardError('config-invalid', `stateChange names the ${what} ${name}, which this host does not have`)
}

/** Those of Vault are not there yet. */
async function namedKeys(senders: readonly SenderEntry[]): Promise<Map<string, readonly Secret[]>> {
  const keys = new Map<string, readonly Secret[]>()
  for (const { key } of senders)
    if (key !== undefined) keys.set(key.id, key.source.kind === 'vault' ? [] : [await keyIn(key.source)])
  return keys
}

async function keyIn(source: LocalSource): Promise<Secret> {
  const where = source.kind === 'file' ? `the key file ${source.path}` : describeSource(source)
  return keyOfFile(where, await readSecret(source))
}
