import { createHash } from 'node:crypto'
import type { HookKey } from '../router/hook.ts'

/** By which both halves know that they mean the same hook, though one may have another config by now: SHA-256, in hexadecimal. */
export const hookDigest = (key: HookKey): string => createHash('sha256').update(key).digest('hex')
