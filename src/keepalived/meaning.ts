import type { RouterSpec } from '../router/spec.ts'

/** What a change of the config text can do to a running router. */
export type ConfigChange = 'none' | 'hitless' | 'may-move-role'

/**
 * Compares two rendered configs. `hitless`: only addresses outside the adverts, routes, or how they are announced, differ; a reload then keeps
 * the marker in place, and a peer sees nothing.
 */
export function changeBetween(old: string, wanted: string): ConfigChange {
  if (old === wanted) return 'none'
  return withoutExcluded(old) === withoutExcluded(wanted) ? 'hitless' : 'may-move-role'
}

/** The least time between two reloads: a burst of them makes keepalived give its role up (LP#1647432). */
export const reloadPauseMs = (spec: Pick<RouterSpec, 'advertisementIntervalMs'>): number =>
  1.5 * spec.advertisementIntervalMs

/** Reads only what `renderConfig` writes. */
function withoutExcluded(text: string): string {
  return text
    .replaceAll(/^ {4}(?:garp_|vrrp_g|higher_prio_send_advert).*\n/gm, '')
    .replaceAll(/^ {4}(?:virtual_ipaddress_excluded|virtual_routes) \{\n(?: {8}.*\n)* {4}\}\n/gm, '')
}
