import type { JournalRecord, JsonObject } from '../journal/record.ts'
import type { Transition } from '../router/effect.ts'
import type { News } from '../router/hook.ts'
import { causeKinds, roles } from '../router/role.ts'
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

/** What the newest transition of a router says of it when the agent takes it up. */
export function recordedRole(head: JournalRecord | undefined, boot: string): Recorded | undefined {
  const role = roles.find((one) => one === head?.body['to'])
  return head === undefined || role === undefined ? undefined : { role, since: head.at, sameBoot: head.boot === boot }
}

/** A transition that is on the disk, as hooks hear of it. */
export function newsOf({ seq, at, body }: JournalRecord): News | undefined {
  const { from, to, cause } = body as { from?: unknown; to?: unknown; cause?: { kind?: unknown } }
  const [previous, role] = [from, to].map((word) => roles.find((one) => one === word))
  const kind = causeKinds.find((one) => one === cause?.kind)
  if (previous === undefined || role === undefined || kind === undefined) return undefined
  return { role, previous, sequence: seq, atMs: at.wallMs, cause: kind }
}
