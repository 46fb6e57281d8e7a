import type { Router } from './router.ts'
import type { RouterSpec } from './spec.ts'

/**
 * keepalived (2.2.7) keeps the sockets that it opened on an interface which was removed: when another of that name comes,
 * it says backup for ever, sends and hears nothing, and never takes over. A reload opens them anew.
 */
export function noteLostInterface(router: Router): Router {
  const { wanted, process, kernel, supervision } = router
  if (wanted === undefined || process.kind !== 'running' || kernel.kind !== 'present') return router
  if (process.pid === supervision.deafPid || leanedOn(wanted).every((name) => kernel.interfaces.has(name)))
    return router
  return { ...router, supervision: { ...supervision, deafPid: process.pid } }
}

/** It lost an interface, and all that it needs are there again. */
export function needsSockets(router: Pick<Router, 'process' | 'kernel' | 'supervision'>, wanted: RouterSpec): boolean {
  const { process, kernel, supervision } = router
  if (process.kind !== 'running' || process.pid !== supervision.deafPid || kernel.kind !== 'present') return false
  return leanedOn(wanted).every((name) => {
    const link = kernel.interfaces.get(name)
    return link !== undefined && link.up && link.carrier
  })
}

const leanedOn = (wanted: RouterSpec): readonly string[] => [wanted.haInterface, ...wanted.trackedInterfaces]
