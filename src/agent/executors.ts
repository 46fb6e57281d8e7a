import { describeError, KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import { notToBeHad } from '../host/keepalived-config.ts'
import { hookDigest } from '../host/hook-digest.ts'
import type { Host } from '../host/operation.ts'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Outcome, Step } from '../router/operation.ts'
import { keyOf, type HookRun } from '../router/hook.ts'
import { judgeRun, type Run, type RunOutcome } from '../router/reaction.ts'
import type { Recorder } from './recorder.ts'
import type { Executors, RouterQueue } from './router-queue.ts'
import { singleFlight } from './single-flight.ts'
import { slots } from './slots.ts'

/** What executors work with. */
export interface Workplace {
  readonly host: Host
  readonly clock: Clock
  readonly recorder: Recorder
}

/** keepalived writes its line before, while or after it moves addresses: one question for all of it. */
const askDelayMs = 10
/** So many routers are worked on at once: enough to make namespaces in batches, few enough to leave the processor to others. */
const maxWorking = 32
/** Looks and questions are short and many; more at once would only take the processor from the rest. */
const maxLooking = 8

/** All routers of a host may fail over at once, each with a process to start. */
const maxReacting = 64

/** What they do is beside the point: the processor is for the rest. */
const maxHooks = 16

/** One router's kernel is asked on hints from outside no more often than this. */
const kernelPauseMs = 100
/** Of all routers so few at once: a storm of messages is no reason to be late with other work. */
const maxAskingKernel = 1

/** Every operation has shorter deadlines of its own; these are for what escapes them. */
const lookDeadlineMs = 10_000
const workDeadlineMs = 60_000
const reactionDeadlineMs = 15_000
const hookGraceMs = 10_000

/** Make the table that carries out what the core asks for. */
export function makeExecutors(place: Workplace): Executors {
  const limitWork = slots(maxWorking)
  const limitAsks = slots(maxLooking)
  const limitLooks = slots(maxLooking)
  const ask = singleFlight(askDelayMs, (queue: RouterQueue) =>
    queue.attempt(() => limitAsks(() => askKeepalived(place, queue))),
  )
  const inspect = singleFlight(0, (queue: RouterQueue) => queue.attempt(() => limitLooks(() => look(place, queue))))
  const limitReactions = slots(maxReacting)
  const limitHooks = slots(maxHooks)
  const askKernel = recheckKernel(place)
  const glance = singleFlight(0, (queue: RouterQueue) =>
    queue.attempt(() => limitLooks(() => lookAtProcesses(place, queue))),
  )
  return {
    'record-transition': (effect, queue) => {
      void place.recorder.roleChanged(queue.id, effect.transition).then((news) => {
        const listens = (queue.router.wanted?.hooks.length ?? 0) > 0
        if (news !== undefined && listens) queue.enqueue({ type: 'recorded', news })
      })
    },
    'record-condition': (effect, queue) => {
      place.recorder.conditionChanged(queue.id, effect.change)
    },
    'ask-keepalived': (_effect, queue) => {
      ask(queue)
    },
    'recheck-kernel': (_effect, queue) => {
      askKernel(queue)
    },
    inspect: (effect, queue) => {
      if (effect.depth === 'all') inspect(queue)
      else glance(queue)
    },
    perform: (effect, queue) => {
      limitWork(() => performSteps(place, queue, effect.steps)).catch((error: unknown) => {
        queue.defect(error)
        // Else it would be under way for ever, and nothing more be done for the router.
        const outcome = { ok: false, code: 'internal', text: describeError(error) } as const
        for (const { operation } of effect.steps.slice(-1)) queue.enqueue({ type: 'performed', operation, outcome })
      })
    },
    react: (effect, queue) => {
      limitReactions(() => react(place, queue, effect.run)).catch((error: unknown) => {
        queue.defect(error)
        const outcome = { ok: false, code: 'internal', text: describeError(error) } as const
        queue.enqueue({ type: 'reacted', number: effect.run.number, outcome })
      })
    },
    'run-hook': (effect, queue) => {
      limitHooks(() => runHook(place, queue, effect.run)).catch((error: unknown) => {
        queue.defect(error)
        const outcome = { ok: false, code: 'internal', text: describeError(error) } as const
        queue.enqueue({ type: 'hook-ended', number: effect.run.number, outcome })
      })
    },
    wake: (effect, queue) => {
      queue.wakeAfter(effect.afterMs)
    },
  }
}

/** At once, then in pauses; one router a turn of the event loop. */
function recheckKernel({ host }: Workplace): (queue: RouterQueue) => void {
  const limit = slots(maxAskingKernel)
  return singleFlight(0, async (queue: RouterQueue) => {
    await limit(async () => {
      if (!queue.closed) await queue.attempt(() => host.recheck(queue.id))
      await nextTurn()
    })
    await pause(kernelPauseMs, undefined, { ref: false })
  })
}

async function askKeepalived({ host, clock }: Workplace, queue: RouterQueue): Promise<void> {
  if (queue.closed) return
  try {
    const evidence = await within(lookDeadlineMs, host.perform({ verb: 'ask-keepalived', router: queue.id }))
    queue.enqueue({ type: 'answer', evidence })
  } catch (error) {
    const now = clock()
    const why = describeError(error)
    queue.enqueue({ type: 'answer', evidence: { kind: 'silent', since: now, asOf: now, before: undefined, why } })
  }
}

async function look({ host, recorder }: Workplace, queue: RouterQueue): Promise<void> {
  if (queue.closed) return
  const { wanted } = queue.router
  try {
    const { process, settings } = await within(lookDeadlineMs, host.perform({ verb: 'inspect', router: queue.id }))
    queue.enqueue({ type: 'process', evidence: process })
    queue.enqueue({ type: 'settings', evidence: settings })
    if (wanted !== undefined && settings.kind === 'seen' && settings.wantedDigest !== notToBeHad)
      recorder.routerSecretsRead(queue.id, wanted.authentication)
  } catch (error) {
    queue.enqueue({ type: 'look-failed', text: describeError(error) })
  }
}

async function lookAtProcesses({ host }: Workplace, queue: RouterQueue): Promise<void> {
  if (queue.closed) return
  try {
    queue.enqueue({ type: 'process', evidence: await host.perform({ verb: 'glance', router: queue.id }) })
  } catch (error) {
    queue.enqueue({ type: 'look-failed', text: describeError(error) })
  }
}

/** Run the steps in order until one fails; then look, so that the core plans on from what is really there. */
async function performSteps(place: Workplace, queue: RouterQueue, steps: readonly Step[]): Promise<void> {
  for (const [index, step] of steps.entries()) {
    const outcome = await performStep(place.host, queue, step)
    const last = index === steps.length - 1
    if (!outcome.ok || last) place.recorder.worked(queue.id, steps.slice(0, index + 1), outcome)
    if (!outcome.ok || last) {
      await queue.attempt(() => place.host.recheck(queue.id))
      await look(place, queue)
    }
    queue.enqueue({ type: 'performed', operation: step.operation, outcome })
    if (!outcome.ok) return
  }
}

async function performStep(host: Host, queue: RouterQueue, step: Step): Promise<Outcome> {
  if (queue.closed) return { ok: false, code: 'internal', text: 'the agent is stopping' }
  try {
    await within(workDeadlineMs, host.perform({ ...step.operation, router: queue.id }))
    return { ok: true }
  } catch (error) {
    const code = error instanceof KeepwardError ? error.code : 'internal'
    const text = `Cannot ${step.text}: ${describeError(error)}`
    return { ok: false, code, text: code === 'keepalived-refused-config' ? describeError(error) : text }
  }
}

/** Once the role is on record, or late. */
async function react({ host, recorder }: Workplace, queue: RouterQueue, run: Run): Promise<void> {
  await recorder.roleSettled(queue.id)
  const { reaction, stance, number } = run
  // The core may have asked for another run meanwhile, which is the one that counts: this one would end it.
  const counts = () => queue.router.reactions.underWay?.number === number
  if (queue.closed || !counts()) return
  const outcome = await within(
    reactionDeadlineMs,
    host.perform({ verb: 'react', router: queue.id, reaction, stance }),
  ).then(
    (is): RunOutcome => ({ ok: true, is }),
    (error: unknown): RunOutcome => {
      const code = error instanceof KeepwardError ? error.code : 'internal'
      return { ok: false, code, text: describeError(error) }
    },
  )
  if (counts()) recorder.reacted(queue.id, run, judgeRun(run, outcome))
  queue.enqueue({ type: 'reacted', number, outcome })
}

async function runHook({ host, recorder }: Workplace, queue: RouterQueue, run: HookRun): Promise<void> {
  const { number, key, hook: place, news } = run
  const hook = queue.router.wanted?.hooks[place]
  if (queue.closed || hook === undefined || keyOf(hook) !== key) {
    queue.enqueue({
      type: 'hook-ended',
      number,
      outcome: { ok: false, code: 'hook-undeclared', text: 'it is no more' },
    })
    return
  }
  let said = ''
  const outcome = await within(
    hook.timeoutMs + hookGraceMs,
    host.perform({ verb: 'run-hook', router: queue.id, hook: place, digest: hookDigest(key), ...news }),
  ).then(
    (answer): Outcome => {
      said = answer
      return { ok: true }
    },
    (error: unknown): Outcome => {
      const code = error instanceof KeepwardError ? error.code : 'internal'
      return { ok: false, code, text: describeError(error) }
    },
  )
  recorder.hookEnded(queue.id, hook, run, outcome, said)
  queue.enqueue({ type: 'hook-ended', number, outcome })
}

async function within<T>(deadlineMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new KeepwardError('host-failed', `It has not ended within ${deadlineMs / 1000} s`)
    timer = setTimeout(reject, deadlineMs, error)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
