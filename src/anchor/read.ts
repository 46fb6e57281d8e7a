import { basename, dirname } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { publicKeysIn } from '../config/signature.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { isSigned, maxAnchorsBytes, parseAnchor, publicKeysName, type Anchor } from './anchor.ts'

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
  const pem = await dir.read(publicKeysName)
  if (pem === undefined) {
    throw new KeepwardError('key-invalid', `There is no ${dir.pathOf(publicKeysName)}, wanted: the keys that signed`)
  }
  const keys = publicKeysIn(pem, dir.pathOf(publicKeysName))
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

function openWhere(file: string): SafeDir | undefined {
  try {
    return SafeDir.open(dirname(file), { mode: 'any' })
  } catch (error) {
    const cause = error instanceof KeepwardError ? error.cause : undefined
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw error
  }
}
