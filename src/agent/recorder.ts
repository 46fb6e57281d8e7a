import { describeError, type KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import type { Journal } from '../journal/journal.ts'
import type { JsonObject, RecordKind } from '../journal/record.ts'
import type { ConditionChange } from '../router/condition.ts'
import type { Transition } from '../router/effect.ts'
import type { RouterId } from '../router/spec.ts'
import type { Chronicle } from './events.ts'
import { durableOrLate, maxGateMs } from './gate.ts'
import type { Metrics } from './metrics.ts'
import type { LoadedConfig } from './preview.ts'
import { transitionBody } from './record.ts'
import type { SetChange } from './router-set.ts'

/** Where events are recorded. */
export interface RecordingPlace {
  readonly journal: Journal
  readonly clock: Clock
  readonly chronicle: Chronicle
  readonly metrics: Metrics
}

/** Writes each event of the agent down, once: into the journal, and into the chronicle. */
export class Recorder {
  readonly #place: RecordingPlace
  /** The journal sequence of each router's newest transition. */
  readonly #lastSeq = new Map<RouterId, number>()

  constructor(place: RecordingPlace) {
    this.#place = place
  }

  agentStarted(version: string, { hash, config }: LoadedConfig): void {
    this.#append('agent', undefined, { change: 'started', version, configDigest: hash })
    this.#place.chronicle.configLoaded(hash, config.routers.length)
  }

  agentStopped(): void {
    this.#append('agent', undefined, { change: 'stopped' })
  }

  configLoaded({ hash, config }: LoadedConfig, change: SetChange): void {
    this.#append('config', undefined, { change: 'loaded', digest: hash, ...change })
    this.#place.chronicle.configLoaded(hash, config.routers.length)
  }

  configRefused(error: KeepwardError): void {
    this.#append('config', undefined, { change: 'refused', text: describeError(error).slice(0, 4000) })
    this.#place.chronicle.configRefused(error)
  }

  /** `router`: undefined for a condition of the agent itself. */
  conditionChanged(router: RouterId | undefined, change: ConditionChange): void {
    const { code, text } = change.condition
    this.#append('condition', router, { change: change.change, code, text })
    this.#place.chronicle.conditionChanged(router, change)
  }

  roleChanged(router: RouterId, transition: Transition): void {
    const { journal, clock, chronicle, metrics } = this.#place
    const { at } = transition
    const { seq, durable } = journal.append({ kind: 'transition', router, at, body: transitionBody(transition) })
    this.#lastSeq.set(router, seq)
    void durable.then(
      () => {
        metrics.durableSeconds.observe((clock().monoMs - at.monoMs) / 1000)
      },
      () => undefined,
    )
    void durableOrLate(durable, at.monoMs + maxGateMs - clock().monoMs).then((outcome) => {
      chronicle.roleChanged(router, transition, seq, outcome === 'late')
    })
  }

  /** The router's newest transition is on disk, or there was none. */
  isRecorded(router: RouterId): boolean {
    return (this.#lastSeq.get(router) ?? 0) <= this.#place.journal.status.durableSeq
  }

  #append(kind: RecordKind, router: RouterId | undefined, body: JsonObject): void {
    const { journal, clock } = this.#place
    // Nobody waits for these; a failure to write shows as `journal-unavailable`.
    void journal.append({ kind, router, at: clock(), body }).durable.catch(() => undefined)
  }
}
