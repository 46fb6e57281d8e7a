import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Hunt } from './planted.ts'

/**
 * Arguments and environment of every process, until told to end. The environment of those that are `own` is a source; a child
 * that has not called execve(2) yet is one of them still, and shows its arguments.
 */
export async function watchProcesses(hunt: Hunt, own: readonly number[], signal: AbortSignal): Promise<void> {
  const known = own.map((pid) => readFileSync(`/proc/${String(pid)}/cmdline`))
  while (!signal.aborted) {
    for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`)
        hunt.look('cmdline', words)
        if (!known.some((other) => words.equals(other))) hunt.look('environ', readFileSync(`/proc/${pid}/environ`))
      } catch {
        // It has ended.
      }
    }
    await wait(40)
  }
}

/** What a process can write to: heap, stacks, buffers. Answers how many bytes that was. */
export function lookAtMemory(hunt: Hunt, pid: number): number {
  const memory = openSync(`/proc/${String(pid)}/mem`, 'r')
  const chunk = Buffer.alloc(chunkBytes)
  let read = 0
  try {
    for (const [, from = '', to = ''] of readFileSync(`/proc/${String(pid)}/maps`, 'utf8').matchAll(writable)) {
      const end = Number.parseInt(to, 16)
      for (let at = Number.parseInt(from, 16); at < end; at += chunkBytes - overlapBytes) {
        const bytes = readAt(memory, chunk, Math.min(chunkBytes, end - at), at)
        hunt.look('memory', chunk.subarray(0, bytes))
        read += bytes
      }
    }
  } finally {
    closeSync(memory)
  }
  return read
}

/** proc_pid_maps(5) */
const writable = /^([0-9a-f]+)-([0-9a-f]+) rw/gm
const chunkBytes = 4 * 1024 * 1024
/** A secret that lies across the end of a chunk is whole in the next. */
const overlapBytes = 256

function readAt(fd: number, into: Buffer, bytes: number, at: number): number {
  try {
    return readSync(fd, into, 0, bytes, at)
  } catch {
    // It was given back to the kernel meanwhile.
    return 0
  }
}

export interface Ground {
  readonly home: string
  /** Unix milliseconds: since then the agent has run. */
  readonly sinceMs: number
  /** By its path below `home`. */
  readonly isSource: (name: string) => boolean
}

/**
 * Each file below `home` but the sources, whoever may read it, unless it is one that must hold a secret and is 0600. And each that
 * was written since then where programs leave files.
 */
export function lookAtFiles(hunt: Hunt, { home, sinceMs, isSource }: Ground): void {
  for (const name of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
    const path = join(home, name)
    const stats = statSync(path, { throwIfNoEntry: false })
    if (stats?.isFile() !== true || isSource(name)) continue
    if (holders.test(name) && (stats.mode & 0o077) === 0) continue
    hunt.look(name.startsWith('state/journal') ? 'journal' : `file ${name}`, readFileSync(path))
  }
  for (const directory of ['/tmp', '/var/tmp', '/run', '/dev/shm', '/var/log']) {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      const stats = statSync(path, { throwIfNoEntry: false })
      if (stats?.isFile() === true && stats.mtimeMs >= sinceMs && stats.size < maxStrayBytes)
        hunt.look(`file ${path}`, readFileSync(path))
    }
  }
}

const holders =
  /^(?:run|host)\/routers\/r[1-9]\/(?:keepalived\.conf|dump\/keepalived\.json)$|^state\/(?:state-change\.key(?:\.retired)?|pseudonym\.key)$/
const maxStrayBytes = 16 * 1024 * 1024
