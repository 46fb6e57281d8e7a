import type { Stats } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'

export const unsafe = (message: string): KeepwardError => new KeepwardError('file-unsafe', message)

/** `says`: what was tried, behind "Cannot". */
export function failed(says: string, cause: unknown): KeepwardError {
  // O_NOFOLLOW's word for a symlink.
  if (errnoOf(cause) === 'ELOOP') return new KeepwardError('file-unsafe', `Cannot ${says}: it is a symlink`, { cause })
  return new KeepwardError('file-failed', `Cannot ${says}`, { cause })
}

export const octal = (stats: Stats): string => modeOf(stats).toString(8).padStart(4, '0')

export const modeOf = (stats: Stats): number => stats.mode & 0o7777

export const isOurs = (stats: Stats): boolean => stats.uid === process.geteuid?.()

/** Ours or root's, and nobody else can write it. */
export function demandTrusted(stats: Stats, path: string): void {
  if (stats.uid !== 0 && !isOurs(stats)) throw unsafe(`${path} belongs to uid ${stats.uid}`)
  if ((stats.mode & 0o022) !== 0) throw unsafe(`Others can write ${path}: mode ${octal(stats)}`)
}

/** A second name may be another's file: what is done to one is done to the other. */
export function demandOneName(stats: Stats, path: string): void {
  if (stats.nlink !== 1) throw unsafe(`${path} has ${stats.nlink} names (hard links), wanted one`)
}

/** Throws `file-unsafe` unless it is a regular file of ours or root's with one name that nobody else can write. */
export function demandFile(stats: Stats, path: string): void {
  if (!stats.isFile()) throw unsafe(`${path} is no regular file`)
  demandOneName(stats, path)
  demandTrusted(stats, path)
}

/** Throws `file-unsafe` unless only its owner, root or we, can read it. */
export function demandSecret(stats: Stats, path: string): void {
  const owned = stats.uid === 0 || isOurs(stats)
  if (stats.isFile() && owned && (stats.mode & 0o077) === 0 && stats.size <= maxSecretBytes) return
  throw unsafe(`${path} must be a file of ours or root's with mode 0600, not of uid ${stats.uid} with ${octal(stats)}`)
}

const maxSecretBytes = 4096
