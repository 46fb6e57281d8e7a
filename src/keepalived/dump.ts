import { KeepwardError } from '../base/error.ts'

/** keepalived's own view of one instance, from its JSON dump. */
export interface KeepalivedView {
  readonly instance: string
  readonly says: KeepalivedSays
  readonly effectivePriority: number
  /** It believes to hold the addresses. */
  readonly addressesSet: boolean
  /** Wall clock of its last transition; a reload counts as one. */
  readonly lastTransitionWallMs: number
  /** Priority in the last advert of a primary that it heard, 0 for none since it is primary itself. */
  readonly primaryPriority: number
  readonly stats: KeepalivedStats
}

/** `unknown`: before its first state (RFC 9568, 6.4.1 Initialize). */
export type KeepalivedSays = 'unknown' | 'backup' | 'primary' | 'fault'

export interface KeepalivedStats {
  readonly advertsReceived: number
  readonly advertsSent: number
  readonly becamePrimary: number
  readonly releasedPrimary: number
  /** Adverts refused: packet length, interval, hop limit, type, address list, authentication. */
  readonly advertsRefused: number
}

export type Dump = { readonly kind: 'incomplete' } | { readonly kind: 'complete'; readonly views: KeepalivedView[] }

/**
 * Reads a dump, which keepalived writes in place: a part of one is `incomplete`, to be read again. Throws
 * `keepalived-failed` when it is complete and not what keepalived 2.2 to 2.3 writes.
 */
export function parseDump(text: string): Dump {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    return { kind: 'incomplete' }
  }
  // With json_version 2 of newer versions the list is wrapped: {"vrrp": [...]}.
  const list = Array.isArray(root) ? (root as unknown[]) : field(root, 'vrrp', '')
  if (!Array.isArray(list)) throw unexpected('instances', 'a list')
  return { kind: 'complete', views: (list as unknown[]).map(view) }
}

function view(entry: unknown): KeepalivedView {
  const data = field(entry, 'data', '')
  const stats = field(entry, 'stats', '')
  const instance = field(data, 'iname', 'data.')
  const addressesSet = field(data, 'vipset', 'data.')
  if (typeof instance !== 'string') throw unexpected('data.iname', 'text')
  if (typeof addressesSet !== 'boolean') throw unexpected('data.vipset', 'true or false')
  return {
    instance,
    says: says(number(data, 'state', 'data.')),
    effectivePriority: number(data, 'effective_priority', 'data.'),
    addressesSet,
    lastTransitionWallMs: Math.round(number(data, 'last_transition', 'data.') * 1000),
    primaryPriority: number(data, 'master_priority', 'data.'),
    stats: {
      advertsReceived: number(stats, 'advert_rcvd', 'stats.'),
      advertsSent: number(stats, 'advert_sent', 'stats.'),
      becamePrimary: number(stats, 'become_master', 'stats.'),
      releasedPrimary: number(stats, 'release_master', 'stats.'),
      advertsRefused: refusals.reduce((sum, name) => sum + number(stats, name, 'stats.'), 0),
    },
  }
}

const refusals = [
  'packet_len_err',
  'advert_interval_err',
  'ip_ttl_err',
  'invalid_type_rcvd',
  'addr_list_err',
  'invalid_authtype',
  'authtype_mismatch',
  'auth_failure',
]

function says(state: number): KeepalivedSays {
  const word = states[state]
  if (word === undefined) throw unexpected('data.state', '0 to 3')
  return word
}

/** By VRRP_STATE_INIT, _BACK, _MAST, _FAULT. */
const states: readonly KeepalivedSays[] = ['unknown', 'backup', 'primary', 'fault']

function number(parent: unknown, name: string, where: string): number {
  const value = field(parent, name, where)
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw unexpected(where + name, 'a number')
  return value
}

function field(parent: unknown, name: string, where: string): unknown {
  if (typeof parent !== 'object' || parent === null) throw unexpected(where === '' ? name : where, 'an object')
  return Object.hasOwn(parent, name) ? (parent as Record<string, unknown>)[name] : undefined
}

function unexpected(where: string, wanted: string): KeepwardError {
  return new KeepwardError('keepalived-failed', `Cannot understand keepalived's dump: ${where} must be ${wanted}`)
}
