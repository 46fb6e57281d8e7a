import { describeError, sentenceOf, type KeepwardError } from '../base/error.ts'
import { ConfigError } from '../config/problem.ts'
import type { Instant } from '../base/instant.ts'
import type { HookRun } from '../router/hook.ts'
import type { Outcome } from '../router/operation.ts'
import type { Run, RunOutcome } from '../router/reaction.ts'
import type { ConditionChange, ConditionCode } from '../router/condition.ts'
import { conditions } from '../router/condition.ts'
import type { Transition } from '../router/effect.ts'
import { parseRouterId } from '../router/spec.ts'
import type { ClaimDecision, refusalBody } from './claim-record.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './metrics.ts'
import { roles } from '../router/role.ts'
import { transitionBody } from './record.ts'

/** Each business event once: its log line, its fields and its counter. */
export interface Chronicle {
  roleChanged(router: string, transition: Transition, seq: number, late: boolean): void
  conditionChanged(router: string | undefined, change: ConditionChange): void
  reacted(router: string, run: Run, outcome: RunOutcome, now: Instant): void
  hookEnded(router: string, program: string, run: HookRun, outcome: Outcome, now: Instant): void
  configLoaded(digest: string, routers: number): void
  configRefused(error: KeepwardError, digest: string | undefined): void
  claimTaken(decision: ClaimDecision, count: number): void
  claimRefused(refusal: ReturnType<typeof refusalBody>): void
  claimsNotRestored(error: unknown): void
  keysRotated(untilMs: number): void
  /** `text`: undefined when they are again. */
  anchorsNotCopied(text: string | undefined): void
  newJournalSigned(journal: string, besides: number): void
  defect(router: string, error: unknown): void
}

export function makeChronicle(log: Logger, metrics: Metrics): Chronicle {
  return {
    roleChanged(router, transition, seq, late) {
      const { from, to, cause, lastedMs } = transitionBody(transition)
      metrics.transitions.inc({ router, to })
      log.info({ router, from, to, cause: cause.text, witness: cause.kind, lastedMs, seq, late }, 'role changed')
    },
    conditionChanged(router, { change, condition }) {
      const { code } = condition
      // It quotes the file, which is not for a log: status and journal have it.
      const text = quotesConfig.includes(code) ? undefined : condition.text
      const severity = conditions[code].severity
      metrics.conditionChanges.inc({ code, change })
      log[change === 'cleared' || severity === 'info' ? 'info' : 'warn'](
        { router, code, severity, text },
        `condition ${change}`,
      )
    },
    reacted(router, { reaction, stance, since }, outcome, now) {
      const tookMs = Math.round(now.monoMs - since.monoMs)
      metrics.reactionSeconds.observe({ reaction, stance, result: outcome.ok ? 'done' : 'failed' }, tookMs / 1000)
      if (outcome.ok) log.info({ router, reaction, stance, tookMs }, 'reaction done')
      else log.warn({ router, reaction, stance, tookMs, code: outcome.code, text: outcome.text }, 'reaction failed')
    },
    hookEnded(router, program, { news, since }, outcome, now) {
      const tookMs = Math.round(now.monoMs - since.monoMs)
      metrics.hookSeconds.observe({ result: outcome.ok ? 'done' : 'failed' }, tookMs / 1000)
      const fields = { router, hook: program, role: news.role, seq: news.sequence, tookMs }
      if (outcome.ok) log.info(fields, 'hook done')
      else log.warn({ ...fields, code: outcome.code, text: outcome.text }, 'hook failed')
    },
    configLoaded(digest, routers) {
      log.info({ digest, routers }, 'config loaded')
    },
    configRefused(error, digest) {
      log.error({ code: error.code, digest, ...withoutConfig(error) }, 'config refused; the one before stays in force')
    },
    claimTaken(decision, count) {
      // The journal has each; a line for each would be another way to fill a disk.
      metrics.claims.inc({ decision }, count)
    },
    claimRefused(refusal) {
      const { decision, reason, count, router, state } = refusal
      metrics.claimRefusals.inc({ reason: decision === 'socket-made-anew' ? decision : reason }, count)
      // The journal has what was written there; a log gets no text of a sender's, only words of a form.
      const said = { router: parseRouterId(router ?? '') ?? null, state: roles.find((one) => one === state) ?? null }
      log.warn({ ...refusal, ...said }, refusalMessages[decision])
    },
    claimsNotRestored(error) {
      log.warn(
        { text: describeError(error) },
        'what notifiers said before the start cannot be read; they are heard anew',
      )
    },
    keysRotated(untilMs) {
      log.info(
        { until: new Date(untilMs).toISOString() },
        'keys of notifiers rotated; those before are honoured until then',
      )
    },
    anchorsNotCopied(text) {
      if (text === undefined) log.info('anchors of the journal are copied to syslog again')
      else log.warn({ text }, 'anchors of the journal cannot be copied to syslog')
    },
    newJournalSigned(journal, besides) {
      log.warn({ journal, besides }, 'a new journal is signed, beside others that were: was one removed?')
    },
    defect(router, error) {
      metrics.defects.inc()
      log.error({ router, err: error }, 'defect in the work of one router')
    },
  }
}

const refusalMessages = {
  refused: 'state change refused',
  limited: 'state changes over a limit',
  denied: 'request on the control socket denied',
  'socket-made-anew': 'state-change socket made anew',
} as const

/** Why a config is refused, and none of its words. Of what a program said of it, further lines quote it. */
function withoutConfig(error: KeepwardError): { readonly text?: string | undefined; readonly at?: readonly string[] } {
  if (error instanceof ConfigError)
    return { at: error.problems.slice(0, 20).map(({ line, column }) => `${String(line)}:${String(column)}`) }
  return error.code === 'config-invalid' ? {} : { text: sentenceOf(error).split('\n', 1)[0] }
}

const quotesConfig: readonly ConditionCode[] = ['config-not-applied', 'config-taken-at-start']
