import { hkdfSync, randomBytes } from 'node:crypto'
import pLimit from 'p-limit'
import { KeepwardError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import { keyOfFile } from './key-file.ts'

/** In the state directory: from this secret each router's own key is derived, so that keys cost nothing per router. */
export const masterKeyName = 'state-change.key'
/** The one before, and until when it is honoured: Unix milliseconds, a blank, the key. */
export const retiredKeyName = 'state-change.key.retired'

/** The key of one router (HKDF with SHA-256, RFC 5869): who holds it can speak for that router and no other. */
export function routerKey(master: Secret, router: string): Secret {
  const info = `keepward state change ${router}`
  return new Secret(Buffer.from(hkdfSync('sha256', master.revealBytes(), '', info, 32)))
}

/** A secret of our own in a file of that name, made at the first call (mode 0600). Throws `key-invalid`, `file-unsafe` or `file-failed`. */
export async function openOwnKey(dir: SafeDir, name: string): Promise<Secret> {
  if ((await dir.list()).includes(name)) return keyOfFile(`the key file ${dir.pathOf(name)}`, dir.readSecret(name))
  const secret = newKey()
  await writeKey(dir, name, secret)
  return secret
}

interface Retired {
  readonly master: Secret
  /** Unix milliseconds. */
  readonly untilMs: number
}

/** The agent's own secret, and for a while the one before it. */
export class MasterKey {
  readonly #dir: SafeDir
  #master: Secret
  #retired: Retired | undefined
  readonly #oneAtATime = pLimit(1)

  private constructor(dir: SafeDir, master: Secret, retired: Retired | undefined) {
    this.#dir = dir
    this.#master = master
    this.#retired = retired
  }

  /** As {@link openOwnKey}. A secret that is new has none before it. */
  static async open(dir: SafeDir, wallMs: number): Promise<MasterKey> {
    const names = await dir.list()
    const master = await openOwnKey(dir, masterKeyName)
    if (!names.includes(masterKeyName)) return new MasterKey(dir, master, undefined)
    const retired = names.includes(retiredKeyName) ? readRetired(dir) : undefined
    if (retired !== undefined && retired.untilMs <= wallMs) await dir.remove(retiredKeyName)
    return new MasterKey(dir, master, retired)
  }

  /** Secrets that speak now, the newest first. */
  at(wallMs: number): readonly Secret[] {
    const { master, untilMs } = this.#retired ?? { untilMs: -Infinity }
    return master === undefined || wallMs >= untilMs ? [this.#master] : [this.#master, master]
  }

  /**
   * Makes a new secret; the one before is honoured for `graceMs` more, across a restart too. One that was retired before
   * ends at once. Throws `file-failed`; then nothing has changed.
   */
  rotate(wallMs: number, graceMs: number): Promise<{ readonly untilMs: number }> {
    return this.#oneAtATime(() => this.#rotate(wallMs + graceMs))
  }

  async #rotate(untilMs: number): Promise<{ readonly untilMs: number }> {
    const before = { master: this.#master, retired: this.#retired }
    const next = newKey()
    await this.#dir.write(retiredKeyName, `${String(untilMs)} ${hexOf(before.master)}\n`)
    // Known here first: a sender that finds it in the file is to be heard at once.
    this.#retired = { master: before.master, untilMs }
    this.#master = next
    try {
      await writeKey(this.#dir, masterKeyName, next)
    } catch (error) {
      this.#master = before.master
      this.#retired = before.retired
      throw error
    }
    return { untilMs }
  }
}

/**
 * Find the secrets of a key id: those that the config names, else of the router of that id, known here or not. A named one that is
 * not there yet has none.
 */
export function secretFinder(
  masters: () => readonly Secret[],
  named: ReadonlyMap<string, readonly Secret[]>,
): (key: string) => readonly Secret[] {
  const recent = new WeakMap<Secret, Map<string, Secret>>()
  return (key) => {
    const known = named.get(key)
    return known ?? masters().map((master) => derived(recent, master, key))
  }
}

function derived(recent: WeakMap<Secret, Map<string, Secret>>, master: Secret, key: string): Secret {
  const keys = recent.get(master) ?? new Map<string, Secret>()
  recent.set(master, keys)
  const known = keys.get(key)
  if (known !== undefined) return known
  const secret = routerKey(master, key)
  if (keys.size >= maxRecent) keys.clear()
  keys.set(key, secret)
  return secret
}

const maxRecent = 4096

function readRetired(dir: SafeDir): Retired {
  const [, until = '', key = ''] =
    /^([0-9]{1,16}) ([0-9a-f]{64}\n)$/.exec(dir.readSecret(retiredKeyName).revealText()) ?? []
  if (until === '') throw new KeepwardError('key-invalid', `${dir.pathOf(retiredKeyName)} is no retired key`, { hint })
  return { master: keyOfFile(`the key file ${dir.pathOf(retiredKeyName)}`, new Secret(key)), untilMs: Number(until) }
}

const hint = 'remove it: senders that read the key of the agent are not concerned'

const newKey = (): Secret => new Secret(randomBytes(32))
const writeKey = (dir: SafeDir, name: string, key: Secret): Promise<void> => dir.write(name, `${hexOf(key)}\n`)
const hexOf = (secret: Secret): string => secret.revealBytes().toString('hex')
