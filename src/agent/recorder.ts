import { describeError, type KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import { describeSource, type SecretSource } from '../base/secret-source.ts'
import type { StartConfig } from '../config/applied.ts'
import type { TrustedConfig } from '../config/trusted.ts'
import type { HostRefusal } from '../host/refusal.ts'
import type { Journal } from '../journal/journal.ts'
import type { JournalRecord, JsonObject, RecordKind } from '../journal/record.ts'
import type { ConditionChange } from '../router/condition.ts'
import type { Transition } from '../router/effect.ts'
import type { Executable } from '../linux/peer-executable.ts'
import type { Privileges } from '../linux/privileges.ts'
import type { HookRun, News } from '../router/hook.ts'
import type { Run, RunOutcome } from '../router/reaction.ts'
import { secretsOf } from '../router/authentication.ts'
import type { Outcome, Step } from '../router/operation.ts'
import type { Authentication, Hook, RouterId } from '../router/spec.ts'
import type { AuditEntry } from '../statechange/audit.ts'
import type { Claim } from '../statechange/receiver.ts'
import { applicantBody, type Applicant } from './applicant.ts'
import { claimBody, hostRefusalBody, refusalBody, sightingBody, type ClaimDecision } from './claim-record.ts'
import type { Chronicle } from './events.ts'
import { durableOrLate, maxGateMs } from './gate.ts'
import type { Metrics } from './metrics.ts'
import { newsOf, transitionBody } from './record.ts'
import type { SectionChange } from './fixed-settings.ts'
import type { SetChange } from './router-set.ts'
import { WorkRecord } from './work-record.ts'

/** Where events are recorded. */
export interface RecordingPlace {
  readonly journal: Journal
  readonly boot: string
  readonly clock: Clock
  readonly chronicle: Chronicle
  readonly metrics: Metrics
}

/** Writes each event of the agent down, once: into the journal, and into the chronicle. */
export class Recorder {
  readonly #place: RecordingPlace
  /** The journal sequence of each router's newest transition. */
  readonly #lastSeq = new Map<RouterId, number>()
  readonly #work: WorkRecord
  #configDigest: string | null = null
  /** Each router's newest transition of this life that is on the disk. */
  readonly #news = new Map<RouterId, News>()
  /** Each router's newest transition is on disk, or late. */
  readonly #settled = new Map<RouterId, Promise<unknown>>()
  /** Parts of configs whose secrets were written down as read. */
  readonly #told = new WeakSet<Authentication>()

  constructor(place: RecordingPlace) {
    this.#place = place
    this.#work = new WorkRecord((router, body) => void this.#append('operation', router, body))
  }

  /** With what rights it works from now on is part of it: it gives none away later. */
  agentStarted(version: string, { hash, config, signedBy }: TrustedConfig, privileges: Privileges): void {
    void this.#append('agent', undefined, {
      change: 'started',
      version,
      configDigest: hash,
      configKey: signedBy ?? null,
      ...privileges,
      capabilities: privileges.capabilities.join(' '),
    })
    this.#configDigest = hash
    this.#place.chronicle.configLoaded(hash, config.routers.length)
  }

  agentStopped(): void {
    this.#work.close()
    void this.#append('agent', undefined, { change: 'stopped' })
  }

  /** Root's work on a router: the steps that were taken; the last one failed where the outcome says so. By whom is said of the config that wanted it. */
  worked(router: RouterId, steps: readonly Step[], outcome: Outcome): void {
    this.#work.note(router, steps, outcome, this.#configDigest)
  }

  /** Somebody has the agent remove all that it made. */
  teardown({ uid, gid, pid }: Privileges): void {
    void this.#append('operation', undefined, { change: 'teardown', uid, gid, pid })
  }

  /** A secret was read for what `of` names; nothing of it is part of the record. */
  secretRead(source: SecretSource, of: string, by: 'agent' | 'host' = 'agent'): void {
    void this.#append('agent', undefined, { change: 'secret-read', by, of, source: describeSource(source) })
  }

  /** The root half has what a router authenticates itself with. It reads that at each look: written down once for each config. */
  routerSecretsRead(router: RouterId, authentication: Authentication): void {
    if (this.#told.has(authentication)) return
    this.#told.add(authentication)
    for (const { source, of } of secretsOf(authentication)) {
      const body = { change: 'secret-read', by: 'host', of, source: describeSource(source) }
      void this.#append('agent', router, body)
    }
  }

  /** Not what was applied last, but the file as the start found it. */
  configTakenAtStart({ hash, signedBy }: TrustedConfig, { from, before, why }: Omit<StartConfig, 'loaded'>): void {
    void this.#append('config', undefined, {
      change: 'loaded',
      digest: hash,
      key: signedBy ?? null,
      by: 'start',
      from,
      before: before ?? null,
      text: why?.slice(0, maxTextLength) ?? null,
    })
  }

  /** Before it is done, so that no crash leaves a change of which nobody knows who wanted it. A disk that does not answer is waited for 100 ms. */
  async configApplying({ hash, signedBy }: TrustedConfig, applicant: Applicant | undefined): Promise<void> {
    const body = { change: 'applying', digest: hash, key: signedBy ?? null, ...applicantBody(applicant) }
    await durableOrLate(this.#append('config', undefined, body), maxGateMs)
  }

  /** Somebody has the root half look at what applying would do, for which it reads secrets; `count`: so often of late. */
  configPlanned(applicant: Applicant | undefined, count: number): void {
    void this.#append('config', undefined, { change: 'planned', ...applicantBody(applicant), count })
  }

  configLoaded(
    { hash, config, signedBy }: TrustedConfig,
    applicant: Applicant | undefined,
    change: SetChange & SectionChange,
  ): void {
    void this.#append('config', undefined, {
      change: 'loaded',
      digest: hash,
      key: signedBy ?? null,
      ...applicantBody(applicant),
      ...change,
    })
    this.#configDigest = hash
    this.#place.chronicle.configLoaded(hash, config.routers.length)
  }

  /** `digest`: undefined when the file could not be read. */
  configRefused(error: KeepwardError, applicant: Applicant | undefined, digest: string | undefined): void {
    void this.#append('config', undefined, {
      change: 'refused',
      digest: digest ?? null,
      ...applicantBody(applicant),
      code: error.code,
      text: describeError(error).slice(0, maxTextLength),
    })
    this.#place.chronicle.configRefused(error, digest)
  }

  /** `untilMs`: Unix time up to which the secret before is honoured. */
  keysRotated(applicant: Applicant | undefined, untilMs: number): void {
    void this.#append('agent', undefined, { change: 'notifier-keys-rotated', ...applicantBody(applicant), untilMs })
    this.#place.chronicle.keysRotated(untilMs)
  }

  /** `router`: undefined for a condition of the agent itself. */
  conditionChanged(router: RouterId | undefined, change: ConditionChange): void {
    const { code, text } = change.condition
    void this.#append('condition', router, { change: change.change, code, text: text.slice(0, maxTextLength) })
    this.#place.chronicle.conditionChanged(router, change)
  }

  /** Resolves once it is on the disk. */
  roleChanged(router: RouterId, transition: Transition): Promise<News | undefined> {
    const { journal, clock, chronicle, metrics } = this.#place
    const { at } = transition
    const { seq, durable } = journal.append({ kind: 'transition', router, at, body: transitionBody(transition) })
    this.#lastSeq.set(router, seq)
    const recorded = durable.then(
      (record) => {
        metrics.durableSeconds.observe((clock().monoMs - at.monoMs) / 1000)
        const news = newsOf(record)
        if (news !== undefined) this.#news.set(router, news)
        return news
      },
      () => undefined,
    )
    const settled = durableOrLate(durable, at.monoMs + maxGateMs - clock().monoMs)
    this.#settled.set(router, settled)
    void settled.then((outcome) => {
      chronicle.roleChanged(router, transition, seq, outcome === 'late')
    })
    return recorded
  }

  /** The newest change of role of this boot that is on the disk. */
  newsOf(router: RouterId): News | undefined {
    const { journal, boot } = this.#place
    const head = journal.heads.get(router)
    return this.#news.get(router) ?? (head?.boot === boot ? newsOf(head) : undefined)
  }

  /** A hook heard of a role, or did not end well. */
  hookEnded(router: RouterId, { program }: Hook, run: HookRun, outcome: Outcome, said: string): void {
    const { chronicle, clock } = this.#place
    const now = clock()
    void this.#append('operation', router, {
      change: outcome.ok ? 'hook-done' : 'hook-failed',
      hook: program,
      role: run.news.role,
      sequence: run.news.sequence,
      tookMs: Math.round(now.monoMs - run.since.monoMs),
      code: outcome.ok ? null : outcome.code,
      text: (outcome.ok ? said : outcome.text).slice(0, 1000),
    })
    chronicle.hookEnded(router, program, run, outcome, now)
  }

  /** Resolves once what follows the router's role may begin. */
  async roleSettled(router: RouterId): Promise<void> {
    await this.#settled.get(router)
  }

  /** A reaction took its stance, or could not. */
  reacted(router: RouterId, run: Run, outcome: RunOutcome): void {
    const now = this.#place.clock()
    this.#work.noteReaction(router, run, outcome, Math.round(now.monoMs - run.since.monoMs))
    this.#place.chronicle.reacted(router, run, outcome, now)
  }

  /** Resolves once it is durable. */
  claimTaken(claim: Claim, decision: ClaimDecision): Promise<JournalRecord> {
    this.#place.chronicle.claimTaken(decision, claim.count)
    const router = decision === 'unmatched' ? undefined : claim.router
    return this.#append('claim', router, claimBody(claim, decision))
  }

  /** The first claim of this user and control group in this life of the agent. */
  senderSeen(claim: Claim, executable: Executable | undefined): void {
    void this.#append('agent', undefined, sightingBody(claim, executable))
  }

  /** `router`: one that runs here. */
  claimRefused(entry: AuditEntry, router: RouterId | undefined, executable: Executable | undefined): void {
    const body = refusalBody(entry, executable)
    void this.#append('refusal', router, body)
    this.#place.chronicle.claimRefused(body)
  }

  /** keepward-host did not do something; it has logged that itself. */
  hostRefused(refusal: HostRefusal): void {
    const body = hostRefusalBody(refusal)
    void this.#append('refusal', undefined, body)
    this.#place.metrics.hostRefusals.inc({ reason: body.reason }, body.count)
  }

  /** The router's newest transition is on disk, or there was none. */
  isRecorded(router: RouterId): boolean {
    return (this.#lastSeq.get(router) ?? 0) <= this.#place.journal.status.durableSeq
  }

  /**
   * Most need not be waited for: a failure to write shows as `journal-unavailable`. Never throws: who has something to record does not
   * fail for it.
   */
  #append(kind: RecordKind, router: RouterId | undefined, body: JsonObject): Promise<JournalRecord> {
    const { journal, clock } = this.#place
    try {
      return journal.append({ kind, router, at: clock(), body }).durable
    } catch (error) {
      const { promise, reject } = Promise.withResolvers<JournalRecord>()
      // May be left alone, as the journal's own.
      promise.catch(() => undefined)
      reject(error)
      return promise
    }
  }
}

/** A config may have a thousand problems; a record holds 16,384 characters. */
const maxTextLength = 4000
