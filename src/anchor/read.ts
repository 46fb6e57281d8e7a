import { basename, dirname } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { publicKeysIn, type PublicKey } from '../config/signature.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { anchorsSuffix, isSigned, maxAnchorsBytes, parseAnchor, publicKeysName, type Anchor } from './anchor.ts'

export interface AnchorsRead {
  readonly anchors: readonly Anchor[]
  /** The first line that is no anchor of this journal, signed and in order; undefined: all are. */
  readonly fault: string | undefined
}

/**
 * The anchors of a journal in a file, by its absolute path, checked with the public keys beside it. No such file: no anchors. Throws
 * `directory-unsafe`, `file-unsafe`, `file-failed` or `config-key-unusable`.
 */
export async function readAnchors(file: string, journal: string): Promise<AnchorsRead> {
  using dir = openWhere(file)
  if (dir === undefined || dir.look(basename(file)) === undefined) return { anchors: [], fault: undefined }
  const text = (await dir.readText(basename(file), { maxBytes: maxAnchorsBytes })) ?? ''
  const keys = await keysIn(dir)
  const anchors: Anchor[] = []
  // What follows the last line feed is being written at this moment.
  for (const [index, line] of text.split('\n').slice(0, -1).entries()) {
    const anchor = parseAnchor(line)
    const wrong = anchor === undefined ? 'is no anchor' : faultOf(line, anchor)
    if (anchor === undefined || wrong !== undefined)
      return { anchors, fault: `line ${index + 1} of ${file} ${wrong ?? ''}` }
    anchors.push(anchor)
  }
  return { anchors, fault: undefined }

  function faultOf(line: string, anchor: Anchor): string | undefined {
    if (!isSigned(line, anchor, keys)) return `is not signed by a key of ${publicKeysName}`
    if (anchor.journal !== journal) return `is of journal ${anchor.journal}, wanted ${journal}`
    const before = anchors.at(-1)
    return before === undefined || before.seq < anchor.seq ? undefined : `does not follow that of record ${before.seq}`
  }
}

/** A journal that root has signed for, and the end of it that root saw last. */
export interface SignedJournal {
  readonly journal: string
  readonly file: string
  readonly seq: number
  readonly wallMs: number
}

/** The other journals of an agent that have anchors beside those in this file. Throws as {@link readAnchors} does. */
export async function readOthers(file: string, agent: string | undefined): Promise<SignedJournal[]> {
  using dir = openWhere(file)
  if (dir === undefined) return []
  const names = (await dir.list()).filter((name) => name.endsWith(anchorsSuffix) && name !== basename(file)).sort()
  const keys = names.length === 0 ? [] : await keysIn(dir)
  const found: SignedJournal[] = []
  for (const name of names) {
    const lines = ((await dir.readText(name, { maxBytes: maxAnchorsBytes })) ?? '').split('\n')
    const last = lines
      .map((line) => ({ line, anchor: parseAnchor(line) }))
      .findLast(({ line, anchor }) => anchor && isSigned(line, anchor, keys))?.anchor
    if (last === undefined || (agent !== undefined && last.agent !== agent)) continue
    found.push({ journal: last.journal, file: dir.pathOf(name), seq: last.seq, wallMs: last.wallMs })
  }
  return found
}

async function keysIn(dir: SafeDir): Promise<readonly PublicKey[]> {
  const pem = await dir.read(publicKeysName)
  if (pem !== undefined) return publicKeysIn(pem, dir.pathOf(publicKeysName))
  throw new KeepwardError('key-invalid', `There is no ${dir.pathOf(publicKeysName)}, wanted: the keys that signed`)
}

function openWhere(file: string): SafeDir | undefined {
  try {
    return SafeDir.open(dirname(file), { mode: 'any' })
  } catch (error) {
    const cause = error instanceof KeepwardError ? error.cause : undefined
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw error
  }
}
