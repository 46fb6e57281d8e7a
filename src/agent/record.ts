import type { JournalRecord, JsonObject } from '../journal/record.ts'
import type { Transition } from '../router/effect.ts'
import type { Role } from '../router/role.ts'
import type { Recorded } from '../router/router.ts'

/** A transition as the journal keeps it. */
export function transitionBody({ from, to, lastedMs, cause }: Transition) {
  return {
    from,
    to,
    lastedMs: lastedMs === undefined ? null : Math.round(lastedMs),
    cause: { kind: cause.kind, text: cause.text },
  } satisfies JsonObject
}

export const roles: readonly Role[] = ['primary', 'backup', 'fault', 'unknown']

/** What the newest transition of a router says of it at the agent's start. */
export function recordedRole(head: JournalRecord | undefined, boot: string): Recorded | undefined {
  const role = roles.find((one) => one === head?.body['to'])
  return head === undefined || role === undefined ? undefined : { role, since: head.at, sameBoot: head.boot === boot }
}
