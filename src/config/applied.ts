import { basename, dirname } from 'node:path'
import { describeError, KeepwardError } from '../base/error.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { ofAgentAlone, type FindAccount } from './account-rules.ts'
import { appliedFileOf, unlessAbsent } from './read.ts'
import { signatureFileOf } from './signature.ts'
import { readTrustedConfig, type ConfigBytes, type TrustedConfig } from './trusted.ts'

/** What a process starts with. */
export interface StartConfig {
  readonly loaded: TrustedConfig
  /** Of what was applied last; or of the file: because there is no copy of that, none that can be used, or changes are applied by themselves. */
  readonly from: 'copy' | 'file' | 'unusable-copy' | 'changed-file'
  /** The digest of a copy that was passed over, where it could be read. */
  readonly before?: string | undefined
  /** Why the copy cannot be used. */
  readonly why?: string
}

/**
 * What was applied last, so that a file which somebody changed is not taken over by a start. The file itself counts where there is no copy,
 * where the copy cannot be used, and where it says that changes are applied by themselves. Throws as {@link readTrustedConfig} and `load` do.
 */
export async function readAtStart(path: string, hostname: string, find?: FindAccount): Promise<StartConfig> {
  const needed = find && ofAgentAlone(find)
  const copy = await readCopy(() => readTrustedConfig(appliedFileOf(path), hostname, needed))
  const file = () => readTrustedConfig(path, hostname, needed)
  if (copy.kind === 'absent') return { from: 'file', loaded: await (await file()).load() }
  if (copy.kind === 'unusable') {
    // What was signed must not be followed by what is not, because somebody spoiled the copy.
    const running = copy.bytes?.signature === undefined ? undefined : { signedBy: 'the copy' }
    const loaded = await (await file()).load(running)
    return { from: 'unusable-copy', loaded, before: copy.bytes?.hash, why: describeError(copy.error) }
  }
  const changed = copy.loaded.config.config.applyChanges ? await changedFile(file, copy.loaded) : undefined
  if (changed === undefined) return { from: 'copy', loaded: copy.loaded }
  return { from: 'changed-file', loaded: changed, before: copy.loaded.hash }
}

/**
 * Keep what was applied. It may be read by whoever may read the file. Where the directory takes no copy there is none, and a start takes the
 * file. Throws `config-not-kept` when an older one would stay, which a start would go back to.
 */
export async function keepApplied(path: string, { bytes, signature }: ConfigBytes): Promise<void> {
  const copy = appliedFileOf(path)
  const kept = await readTrustedConfig(copy, '').catch(() => undefined)
  if (kept !== undefined && isSame(kept.bytes, bytes) && isSame(kept.signature, signature)) return
  using directory = openBeside(path)
  try {
    const { mode, gid } = directory.look(basename(path)) ?? { mode: 0o600, gid: 0 }
    await put(directory, signatureFileOf(copy), signature, { mode: mode & 0o644, gid })
    await put(directory, copy, bytes, { mode: mode & 0o644, gid })
  } catch (cause) {
    if (directory.look(basename(copy)) === undefined) return
    throw new KeepwardError('config-not-kept', `${copy} holds what was applied before, and cannot be replaced`, {
      cause,
    })
  }
}

/** Nothing is applied any more. */
export async function forgetApplied(path: string): Promise<void> {
  const copy = appliedFileOf(path)
  using directory = openBeside(path)
  if (directory.look(basename(copy)) === undefined) return
  await directory.remove(basename(copy))
  await directory.remove(basename(signatureFileOf(copy)))
}

type Copy =
  | { readonly kind: 'absent' }
  | { readonly kind: 'good'; readonly loaded: TrustedConfig }
  | { readonly kind: 'unusable'; readonly bytes: ConfigBytes | undefined; readonly error: KeepwardError }

async function readCopy(read: () => Promise<ConfigBytes>): Promise<Copy> {
  let bytes: ConfigBytes | undefined
  try {
    bytes = await unlessAbsent(read())
    return bytes === undefined ? { kind: 'absent' } : { kind: 'good', loaded: await bytes.load() }
  } catch (error) {
    if (!(error instanceof KeepwardError) || error.code === 'resources-exhausted') throw error
    return { kind: 'unusable', bytes, error }
  }
}

/** Undefined when it is what was applied, or cannot be. */
async function changedFile(
  read: () => Promise<ConfigBytes>,
  applied: TrustedConfig,
): Promise<TrustedConfig | undefined> {
  try {
    const loaded = await (await read()).load(applied)
    return loaded.stamp === applied.stamp ? undefined : loaded
  } catch (error) {
    if (error instanceof KeepwardError) return undefined
    throw error
  }
}

interface Access {
  readonly mode: number
  readonly gid: number
}

async function put(directory: SafeDir, path: string, data: Buffer | undefined, access: Access): Promise<void> {
  const name = basename(path)
  if (data === undefined) return directory.remove(name)
  await directory.write(name, data)
  using made = directory.find(name, 'regular file')
  made?.give(access)
}

const isSame = (one: Buffer | undefined, other: Buffer | undefined): boolean =>
  one === undefined || other === undefined ? one === other : one.equals(other)

const openBeside = (path: string): SafeDir => SafeDir.open(dirname(path), { mode: 'any', owner: 'root' })
