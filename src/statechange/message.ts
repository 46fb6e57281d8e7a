import type { Role } from '../router/role.ts'
import { parseRouterId, type RouterId } from '../router/spec.ts'
import type { RefusalCode } from './refusal.ts'
import { proofHeaders, type Proof } from './signature.ts'

/** What a notifier says of a router. */
export interface Message {
  readonly router: RouterId
  readonly state: Role
  /** With it, the sender is a native one and bears refusals; without, a monitor of Neutron, deaf for ever after one. */
  readonly proof: (Proof & { readonly signature: string }) | undefined
}

const routerHeader = 'x-neutron-router-id'
const stateHeader = 'x-neutron-state'

/** Neutron's words of every era; what a Neutron agent before 17 called master is primary. */
export const wireStates: ReadonlyMap<string, Role> = new Map([
  ['primary', 'primary'],
  ['master', 'primary'],
  ['backup', 'backup'],
  ['fault', 'fault'],
  ['unknown', 'unknown'],
])

/** A request that says nothing, with what of it could be read: at most {@link maxReadLength} characters each, as they came. */
export interface Unreadable {
  readonly refusal: RefusalCode
  readonly router: string | undefined
  readonly state: string | undefined
}

const maxReadLength = 64

/**
 * Read the message from a request's method and raw headers (names and values in turn). What is behind the path and in the
 * body says nothing, as with Neutron's own server. No header may be there twice: two on the way could each read another one.
 */
export function readMessage(method: string | undefined, rawHeaders: readonly string[]): Message | Unreadable {
  const found = new Map<string, string>()
  let refusal: RefusalCode | undefined
  if (method !== 'GET' && method !== 'POST') refusal = 'method-unsupported'
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    const value = rawHeaders[at + 1] ?? ''
    if (!printable.test(value)) refusal ??= 'header-malformed'
    if (found.has(name)) refusal ??= 'header-repeated'
    else found.set(name, value)
  }
  const message = refusal ?? messageIn(found)
  if (typeof message !== 'string') return message
  const read = (name: string) => found.get(name)?.slice(0, maxReadLength)
  return { refusal: message, router: read(routerHeader), state: read(stateHeader) }
}

function messageIn(found: ReadonlyMap<string, string>): Message | RefusalCode {
  const routerText = found.get(routerHeader)
  const stateText = found.get(stateHeader)
  if (routerText === undefined || stateText === undefined) return 'header-missing'
  const router = parseRouterId(routerText)
  if (router === undefined) return 'router-malformed'
  const state = wireStates.get(stateText)
  if (state === undefined) return 'state-malformed'
  const proof = readProof(found, router, stateText)
  return typeof proof === 'string' ? proof : { router, state, proof }
}

const printable = /^[\x20-\x7e]*$/
const sequenceForm = /^(0|[1-9][0-9]{0,18})$/
const bootForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const timeForm = /^[1-9][0-9]{0,15}$/
const intervalForm = /^[1-9][0-9]{0,5}$/
const signatureForm = /^[0-9a-f]{64}$/

/** Undefined when none of its headers is there; all of them must be as soon as one is. */
function readProof(
  found: ReadonlyMap<string, string>,
  router: RouterId,
  state: string,
): Message['proof'] | 'proof-malformed' {
  const names = Object.values(proofHeaders)
  if (!names.some((name) => found.has(name))) return undefined
  const value = (name: keyof typeof proofHeaders) => found.get(proofHeaders[name]) ?? ''
  const interval = found.get(proofHeaders.interval)
  const wellFormed =
    sequenceForm.test(value('sequence')) &&
    bootForm.test(value('boot')) &&
    timeForm.test(value('time')) &&
    parseRouterId(value('key')) !== undefined &&
    signatureForm.test(value('signature')) &&
    (interval === undefined || intervalForm.test(interval))
  if (!wellFormed) return 'proof-malformed'
  return {
    router,
    state,
    sequence: BigInt(value('sequence')),
    boot: value('boot'),
    sentMs: Number(value('time')),
    key: value('key'),
    intervalS: interval === undefined ? undefined : Number(interval),
    signature: value('signature'),
  }
}
