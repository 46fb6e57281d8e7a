import { closeSync, readSync } from 'node:fs'
import { native } from './native.ts'

/** What a daemon says on its outputs. */
export interface FirstWords extends Disposable {
  /** For its stdout and stderr. */
  readonly fd: number
  /** The end of what is kept; empty when it said nothing. */
  read(): string
}

/**
 * A file in memory that takes 16 KiB and refuses the rest (EPERM), so that a daemon which outlives us never waits for a reader, as at a
 * pipe, and never fills a disk. What it says later belongs into the system log, by its own doing.
 */
export function openFirstWords(): FirstWords {
  const fd = native().memoryFile(maxBytes)
  return {
    fd,
    read: () => readEnd(fd),
    [Symbol.dispose]: () => {
      closeSync(fd)
    },
  }
}

const maxBytes = 16 * 1024
const shownBytes = 1000

function readEnd(fd: number): string {
  // The daemon shares it, and may set it to anything.
  const end = Math.min(native().offset(fd), maxBytes)
  const bytes = Buffer.alloc(Math.min(end, shownBytes))
  const length = bytes.length === 0 ? 0 : readSync(fd, bytes, 0, bytes.length, end - bytes.length)
  return bytes.toString('utf8', 0, length).trim()
}
