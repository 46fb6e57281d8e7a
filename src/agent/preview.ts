import type { LoadedConfig } from '../config/read.ts'
import type { Instant } from '../base/instant.ts'
import type { Host, Table } from '../host/operation.ts'
import { compareSpecs } from '../router/diff.ts'
import { plan } from '../router/plan.ts'
import { newRouter, type Router } from '../router/router.ts'
import type { RouterSpec } from '../router/spec.ts'
import type { PlanAnswer, RouterPlan } from './api.ts'
import type { SectionChange } from './fixed-settings.ts'
import type { RouterQueue } from './router-queue.ts'

/** What the root half needs of it. */
export const tableOf = ({ config, hash }: LoadedConfig): Table => ({ hash, routers: config.routers })

/** Compare the config file with what runs, router by router, touching nothing. */
export async function previewConfig(
  loaded: LoadedConfig,
  host: Host,
  queues: readonly RouterQueue[],
  now: Instant,
): Promise<Omit<PlanAnswer, keyof SectionChange>> {
  const next = new Map(loaded.config.routers.map((spec) => [spec.id, spec]))
  const known = new Map(queues.map((queue) => [queue.id, queue.router]))
  await host.stage(tableOf(loaded))
  const routers: RouterPlan[] = []
  for (const id of new Set([...known.keys(), ...next.keys()])) {
    const router = known.get(id) ?? {
      ...newRouter(id, undefined, now),
      kernel: { kind: 'absent', reason: 'new', asOf: now },
    }
    const one = await previewRouter(router, next.get(id), host, now)
    if (one.change !== 'none' || one.steps.length > 0 || one.waiting.length > 0) routers.push(one)
  }
  // What waits is done later without another question.
  const movesRole = routers.some(({ steps, waiting }) => [...steps, ...waiting].some((step) => step.movesRole))
  return { configDigest: loaded.hash, routers, movesRole }
}

async function previewRouter(
  router: Router,
  next: RouterSpec | undefined,
  host: Host,
  now: Instant,
): Promise<RouterPlan> {
  const { process, settings } = await host.perform({ verb: 'preview', router: router.id })
  const moved = router.wanted !== undefined && next !== undefined && router.wanted.namespace !== next.namespace
  const removal = moved ? plan({ ...router, wanted: undefined, process, settings }, now.monoMs).steps : []
  const seen = moved
    ? { process: { kind: 'absent', asOf: now } as const, kernel: { kind: 'absent', reason: 'new', asOf: now } as const }
    : { process }
  const { steps, waiting } = plan({ ...router, ...seen, wanted: next, settings }, now.monoMs)
  return {
    router: router.id,
    change: changeKind(router.wanted, next),
    config: compareSpecs(router.wanted, next).map(({ path, before, after }) => ({
      path,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    })),
    steps: [...removal, ...steps].map(({ text, movesRole }) => ({ text, movesRole })),
    waiting: waiting.map(({ step, reason }) => ({ step: step.text, reason, movesRole: step.movesRole })),
  }
}

function changeKind(before: RouterSpec | undefined, after: RouterSpec | undefined): RouterPlan['change'] {
  if (before === undefined) return after === undefined ? 'none' : 'add'
  if (after === undefined) return 'remove'
  return compareSpecs(before, after).length === 0 ? 'none' : 'change'
}
