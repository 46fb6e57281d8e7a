import { escapeControls } from '../base/controls.ts'
import type { HostRefusal } from '../host/refusal.ts'
import type { JournalRecord, JsonObject } from '../journal/record.ts'
import type { Executable } from '../linux/peer-executable.ts'
import type { NotifierClaim } from '../router/notifier.ts'
import { roles } from '../router/role.ts'
import { parseRouterId, type RouterId } from '../router/spec.ts'
import type { AuditEntry } from '../statechange/audit.ts'
import type { Claim } from '../statechange/receiver.ts'

/** What became of a claim: its router runs here, is not known here, or the record stands for several messages. */
export type ClaimDecision = 'accepted' | 'unmatched' | 'gathered'

/** A claim as the journal keeps it. The router is in it too: a record of an unknown router bears none. */
export function claimBody(claim: Claim, decision: ClaimDecision): JsonObject {
  const { router, state, sender, controlGroup, key, sequence, intervalMs, reason, count } = claim
  return {
    decision,
    reason,
    router,
    state,
    uid: sender.uid,
    gid: sender.gid,
    pid: sender.pid,
    key: textOrNull(key),
    sequence: sequence === undefined ? null : String(sequence),
    intervalMs: intervalMs ?? null,
    controlGroup: escapeControls(controlGroup),
    count,
  }
}

/** A refusal or limit as the journal and the log keep it. */
export function refusalBody(entry: AuditEntry, executable: Executable | undefined) {
  const { decision, reason, sender, controlGroup, router, state, key, count } = entry
  return {
    decision,
    reason: escapeControls(reason),
    router: textOrNull(router),
    state: textOrNull(state),
    uid: sender?.uid ?? null,
    gid: sender?.gid ?? null,
    pid: sender?.pid ?? null,
    key: textOrNull(key),
    controlGroup: textOrNull(controlGroup),
    ...executableBody(executable),
    count,
  } satisfies JsonObject
}

/** What a peer runs, as the journal keeps it; null is not known. */
export function executableBody(executable: Executable | undefined) {
  return {
    executable: textOrNull(executable?.path),
    executableBy: executable?.by ?? null,
  } satisfies JsonObject
}

/** Who spoke for the first time, as the journal keeps it. */
export function sightingBody({ sender, controlGroup }: Claim, executable: Executable | undefined): JsonObject {
  const { uid, gid, pid } = sender
  const who = { uid, gid, pid, controlGroup: escapeControls(controlGroup) }
  return { change: 'sender-seen', ...who, ...executableBody(executable) }
}

/** What keepward-host refused, as the journal keeps it. */
export function hostRefusalBody({ reason, text, verb, router, peer, executable, count }: HostRefusal) {
  return {
    decision: 'host-refused',
    reason,
    text: text.slice(0, 1000),
    operation: verb ?? null,
    router: router ?? null,
    uid: peer?.uid ?? null,
    gid: peer?.gid ?? null,
    pid: peer?.pid ?? null,
    ...executableBody(executable),
    count,
  } satisfies JsonObject
}

/** What a record of kind `claim` says; undefined for one that this version does not understand. */
export function readClaim({ at, body }: JournalRecord): { router: RouterId; claim: NotifierClaim } | undefined {
  const router = typeof body['router'] === 'string' ? parseRouterId(body['router']) : undefined
  const state = roles.find((one) => one === body['state'])
  const { uid, pid, intervalMs } = body
  if (router === undefined || state === undefined || typeof uid !== 'number' || typeof pid !== 'number')
    return undefined
  return { router, claim: { state, at, uid, pid, intervalMs: typeof intervalMs === 'number' ? intervalMs : undefined } }
}

const textOrNull = (text: string | undefined): string | null => (text === undefined ? null : escapeControls(text))
