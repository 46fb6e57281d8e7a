import type { Stats } from 'node:fs'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'

const moveAside = 'find out who put it there, and move it aside'

/** What makes it right when it is ours, or an operator gave it to us. */
const ownIt = 'it must belong to root, or to our user, with mode 0600: see chown(1) and chmod(1)'

export const unsafe = (message: string, hint = moveAside, cause?: unknown): KeepwardError =>
  new KeepwardError('file-unsafe', message, { hint, cause })

/** `says`: what was tried, behind "Cannot". */
export function failed(says: string, cause: unknown): KeepwardError {
  // O_NOFOLLOW's word for a symlink.
  if (errnoOf(cause) === 'ELOOP') return unsafe(`Cannot ${says}: it is a symlink`, moveAside, cause)
  return new KeepwardError(codeOf(cause, 'file-failed'), `Cannot ${says}`, { cause })
}

export const octal = (stats: Stats): string => modeOf(stats).toString(8).padStart(4, '0')

export const modeOf = (stats: Stats): number => stats.mode & 0o7777

export const isOurs = (stats: Stats): boolean => stats.uid === process.geteuid?.()

/** Ours or root's, and nobody else can write it. */
function demandTrusted(stats: Stats, path: string): void {
  if (stats.uid !== 0 && !isOurs(stats)) throw unsafe(`${path} belongs to uid ${stats.uid}`, ownIt)
  if ((stats.mode & 0o022) !== 0) throw unsafe(`Others can write ${path}: mode ${octal(stats)}`, ownIt)
}

/**
 * A second name may be another's file: what is done to one is done to the other. One whose name here was taken away after it
 * was opened has one name too, so `named`, what bears the name by then, must be the same, with one name.
 */
export function demandOneName(opened: Stats, named: Stats | undefined, path: string): void {
  for (const { nlink } of [opened, named ?? opened])
    if (nlink !== 1) throw unsafe(`${path} has ${nlink} names (hard links), wanted one`)
  if (named?.ino !== opened.ino || named.dev !== opened.dev) throw unsafe(`${path} was replaced while it was opened`)
}

/** Throws `file-unsafe` unless it is a regular file of ours or root's with one name that nobody else can write. */
export function demandFile(opened: Stats, named: Stats | undefined, path: string): void {
  if (!opened.isFile()) throw unsafe(`${path} is no regular file`)
  demandOneName(opened, named, path)
  demandTrusted(opened, path)
}

/** Who made a file, and so what its mode says. */
export type SecretKind = 'file' | 'credential'

/** Throws `file-unsafe` unless only its owner, root or we, can read it. */
export function demandSecret(stats: Stats, path: string, kind: SecretKind): void {
  const owned = stats.uid === 0 || isOurs(stats)
  const closed = (stats.mode & 0o077) === 0 || (kind === 'credential' && isShared(stats))
  if (stats.isFile() && owned && closed && stats.size <= maxSecretBytes) return
  const modes = kind === 'credential' ? '0400 or 0440' : '0600'
  throw unsafe(
    `${path} must be a file of ours or root's with mode ${modes}, not of uid ${stats.uid} with ${octal(stats)}`,
    kind === 'credential' ? 'the service manager is to make it: LoadCredential= of the unit' : ownIt,
  )
}

/**
 * What systemd makes of LoadCredential= is root's, 0400. The user of User= may read it by an ACL, whose mask shows as the bits of the
 * group (acl(5)): 0440; on a file system without ACLs, such as ramfs, the file is given to the user (write_credential() in
 * src/core/execute.c of systemd 252).
 */
const isShared = ({ uid, gid, mode }: Stats): boolean => uid === 0 && gid === 0 && (mode & 0o7777) === 0o440

const maxSecretBytes = 4096
