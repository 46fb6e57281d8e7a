import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { hostname } from 'node:os'
import pLimit from 'p-limit'
import { Buckets } from '../base/bucket.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import type { Clock } from '../base/instant.ts'
import type { Secret } from '../base/secret.ts'
import { keyIdOf, publicKeysIn } from '../config/signature.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import {
  anchorsFileOf,
  anchorsSuffix,
  maxAnchorsBytes,
  parseAnchor,
  publicKeysName,
  signAnchor,
  type Anchor,
  type AnchorPoint,
} from './anchor.ts'
import { maxAnchors, thin } from './retention.ts'
import { sendSyslog, syslogText, type SyslogTarget } from './syslog.ts'

export interface KeeperOptions {
  /** Where root alone may write. */
  readonly path: string
  /** Agent id, part of every anchor. */
  readonly agent: string
  readonly clock: Clock
  readonly syslog: SyslogTarget
  /** The copy cannot be sent, and why; undefined: it can again. */
  readonly onCopyTrouble: (text: string | undefined) => void
  /** It signs for a journal that it never signed for, beside so many others. */
  readonly onNewJournal: (journal: string, besides: number) => void
}

const privateName = 'anchor.key'
/** Journals whose anchors are kept: whoever makes journals must not fill the disk of root. */
const maxJournals = 256
/** Nor take the place of those that come later: after the first few, there is one each ten minutes. */
const newJournals = { perSecond: 1 / 600, burst: 4 }
/** One a second in the long run, so that nobody pushes the older ones out by signing very often. */
const burst = 10
const perMs = 1 / 1000
const maxPublicKeys = 16

/**
 * Signs how far a journal has come, in files that root alone can write. It takes the agent's word for what the record is, and
 * never a second word for the same one: what was signed cannot be said otherwise later.
 */
export class AnchorKeeper {
  readonly #options: KeeperOptions
  readonly #oneAtATime = pLimit(1)
  readonly #journals = new Map<string, KnownJournal>()
  readonly #newJournals = new Buckets<'all'>(newJournals, 1)
  #open: { readonly dir: SafeDir; readonly key: KeyObject } | undefined
  #copyTrouble: string | undefined
  #allowance = { left: burst, atMs: 0 }

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /**
   * Durable when it resolves. Throws `anchor-refused` for a sequence that does not rise, `request-invalid` when it comes too
   * soon, and what the file system throws.
   */
  sign(point: AnchorPoint): Promise<string | undefined> {
    return this.#oneAtATime(() => this.#sign(point))
  }

  close(): void {
    this.#open?.dir.close()
    this.#open = undefined
  }

  async #sign(point: AnchorPoint): Promise<string | undefined> {
    // Not at the start: a disk that takes no key must not keep anybody from starting.
    const { dir, key } = (this.#open ??= await this.#openPlace())
    const known = await this.#journalOf(dir, point.journal)
    const { last } = known
    if (last !== undefined && last.seq === point.seq && last.hash === point.hash) return this.#copyTrouble
    if (last !== undefined && (last.seq >= point.seq || last.start > point.start)) throw falling(point, last)
    this.#spend()
    const { agent, clock } = this.#options
    const { wallMs } = clock()
    const line = signAnchor(agent, point, wallMs, key)
    try {
      await dir.append(anchorsFileOf(point.journal), `${line}\n`, { mode: 0o644 })
    } catch (error) {
      // A part of the line may be there: it is read again.
      this.#journals.delete(point.journal)
      throw error
    }
    known.last = parseAnchor(line)
    known.count += 1
    await this.#tellIfNew(known, point.journal, wallMs)
    if (known.count > maxAnchors) await this.#thin(dir, point.journal)
    await this.#copy(line, wallMs)
    return this.#copyTrouble
  }

  async #openPlace(): Promise<{ readonly dir: SafeDir; readonly key: KeyObject }> {
    const dir = SafeDir.open(this.#options.path, { create: true, mode: 0o755 })
    try {
      await dir.removeUnfinished()
      return { dir, key: await ownKey(dir) }
    } catch (error) {
      dir.close()
      throw error
    }
  }

  async #journalOf(dir: SafeDir, journal: string): Promise<KnownJournal> {
    const known = this.#journals.get(journal)
    if (known !== undefined) return known
    const name = anchorsFileOf(journal)
    const text = await dir.readText(name, { maxBytes: maxAnchorsBytes })
    const besides = text === undefined ? await this.#demandRoom(dir) : 0
    const end = (text ?? '').lastIndexOf('\n') + 1
    // A line that a crash cut short was never answered for.
    if (text !== undefined && end < text.length) await dir.write(name, text.slice(0, end), { mode: 0o644 })
    const lines = (text ?? '').slice(0, end).split('\n').slice(0, -1)
    const newest = lines.at(-1)
    const last = newest === undefined ? undefined : parseAnchor(newest)
    if (newest !== undefined && last === undefined) {
      throw new KeepwardError('anchor-refused', `${dir.pathOf(name)} ends with a line that is no anchor`, {
        hint: 'find out who changed it; move it aside to begin a new one',
      })
    }
    const made = { last, count: lines.length, besides }
    this.#journals.set(journal, made)
    return made
  }

  async #thin(dir: SafeDir, journal: string): Promise<void> {
    const name = anchorsFileOf(journal)
    const text = (await dir.readText(name, { maxBytes: maxAnchorsBytes })) ?? ''
    const anchors = text.split('\n').flatMap((line) => {
      const anchor = parseAnchor(line)
      return anchor === undefined ? [] : [{ line, wallMs: anchor.wallMs, start: anchor.start }]
    })
    const kept = thin(anchors)
    await dir.write(name, kept.map(({ line }) => `${line}\n`).join(''), { mode: 0o644 })
    this.#journals.delete(journal)
  }

  #spend(): void {
    const { monoMs } = this.#options.clock()
    const left = Math.min(burst, this.#allowance.left + Math.max(0, monoMs - this.#allowance.atMs) * perMs)
    if (left < 1) throw new KeepwardError('request-invalid', 'Anchors are asked for more often than once a second')
    this.#allowance = { left: left - 1, atMs: monoMs }
  }

  /** The anchor is there, whatever becomes of its copy. */
  /** Who removes a journal must begin another one: beside those that were signed it shows. */
  async #tellIfNew(known: KnownJournal, journal: string, wallMs: number): Promise<void> {
    const { besides } = known
    known.besides = 0
    if (besides === 0) return
    const { agent, onNewJournal } = this.#options
    onNewJournal(journal, besides)
    await this.#copy(`keepward-new-journal 1 ${agent} ${journal} beside ${String(besides)}`, wallMs)
  }

  /** Answers how many other journals were signed for. Throws `anchor-refused`, and `request-invalid` when it is too soon. */
  async #demandRoom(dir: SafeDir): Promise<number> {
    const besides = (await dir.list()).filter((name) => name.endsWith(anchorsSuffix)).length
    if (besides >= maxJournals)
      throw new KeepwardError('anchor-refused', `${dir.path} has the anchors of ${String(besides)} journals already`, {
        hint: 'move those of journals that are gone elsewhere',
      })
    if (this.#newJournals.take('all', this.#options.clock().monoMs)) return besides
    throw new KeepwardError('request-invalid', 'New journals come too fast to be signed', {
      hint: 'this one is signed within ten minutes; `keepward audit --verify` names those that are not here',
    })
  }

  async #copy(line: string, wallMs: number): Promise<void> {
    const { syslog, onCopyTrouble } = this.#options
    const trouble = await sendSyslog(syslog, syslogText(hostname(), wallMs, line)).then(
      () => undefined,
      (error: unknown) => describeError(error),
    )
    if (trouble === this.#copyTrouble) return
    this.#copyTrouble = trouble
    onCopyTrouble(trouble)
  }
}

interface KnownJournal {
  last: Anchor | undefined
  count: number
  /** Other journals, at the time that it came; 0 once that is told. */
  besides: number
}

/** Made by us, once; the public half is for everybody, beside those of keys that were here before. */
async function ownKey(dir: SafeDir): Promise<KeyObject> {
  if (dir.look(privateName) === undefined) {
    const made = generateKeyPairSync('ed25519').privateKey
    await dir.write(privateName, made.export({ format: 'pem', type: 'pkcs8' }))
  }
  const key = privateKeyIn(dir.readSecret(privateName), dir.pathOf(privateName))
  const known = await dir.readText(publicKeysName)
  const publicKey = createPublicKey(key)
  const ids =
    known === undefined ? [] : publicKeysIn(Buffer.from(known), dir.pathOf(publicKeysName)).map(({ id }) => id)
  if (ids.includes(keyIdOf(publicKey))) return key
  if (ids.length >= maxPublicKeys) {
    throw new KeepwardError('anchor-refused', `${dir.pathOf(publicKeysName)} holds ${ids.length} keys already`, {
      hint: 'remove those whose anchors nobody needs any more',
    })
  }
  await dir.write(publicKeysName, `${known ?? ''}${String(publicKey.export({ format: 'pem', type: 'spki' }))}`, {
    mode: 0o644,
  })
  return key
}

/** No cause: what is said of a private key must not depend on its content. */
function privateKeyIn(pem: Secret, path: string): KeyObject {
  try {
    const key = createPrivateKey(pem.revealText())
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below.
  }
  throw new KeepwardError('key-invalid', `${path} is no Ed25519 private key in PEM without a passphrase`, {
    hint: 'move it aside: a new one is made, and its public half is added to those that are known',
  })
}

function falling(point: AnchorPoint, last: Anchor): KeepwardError {
  const is = `record ${point.seq} of start ${point.start}`
  const signed = `record ${last.seq} of start ${last.start}`
  return new KeepwardError('anchor-refused', `Journal ${point.journal} is at ${is}, but ${signed} was signed before`, {
    hint: 'the journal was cut, changed or put back from a copy: run `keepward audit --verify`, and keep both for inquiry',
  })
}
