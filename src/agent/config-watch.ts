import { watch, type FSWatcher, type Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { signatureFileOf } from '../config/signature.ts'
import { keysFileOf, type ConfigFile } from '../config/trusted.ts'
import type { Agent } from './agent.ts'
import { lookAtFile } from './config-in-force.ts'
import { singleFlight } from './single-flight.ts'

export interface ConfigWatchParts {
  readonly agent: Pick<Agent, 'apply' | 'config' | 'configDiffers' | 'noteConfigFile'>
  readonly file: string
  readonly read: () => Promise<ConfigFile>
  /** Between two looks when nothing is heard. */
  readonly everyMs?: number
}

/**
 * Tell the agent what its config file is, with its signature and the public keys, soon after each event in the file's directory
 * and every few seconds whatever is heard: a watch loses events, and stays with a directory that another one has replaced. Where
 * the config that runs says so, a change is applied when it is {@link quietMs} old. Returns how to stop.
 */
export function watchConfigFile({ agent, file, read, everyMs = 5000 }: ConfigWatchParts): () => void {
  const names = [basename(file), basename(signatureFileOf(file)), basename(keysFileOf(file))]
  const directory = new WatchedDirectory(dirname(file), (name) => {
    if (name === null || names.includes(name)) soon(directory)
  })
  let closed = false
  let quiet: NodeJS.Timeout | undefined
  const look = async (): Promise<void> => {
    await directory.renew()
    const seen = await lookAtFile(read)
    // With no descriptor left nothing is known of the file; the next look comes soon.
    if (closed || (seen.kind === 'unreadable' && isExhausted(seen.error))) return
    const news = agent.noteConfigFile(seen)
    if (!agent.configDiffers) clearTimeout(quiet)
    if (!news || !agent.config.config.applyChanges) return
    clearTimeout(quiet)
    quiet = setTimeout(() => {
      // It has raised its condition when it is refused.
      if (agent.configDiffers) agent.apply({ by: 'change-on-disk' }).catch(() => undefined)
    }, quietMs)
  }
  const soon = singleFlight(settleMs, look)
  const timer = setInterval(soon, everyMs, directory)
  soon(directory)
  return () => {
    closed = true
    clearInterval(timer)
    clearTimeout(quiet)
    directory.close()
  }
}

/** An editor's steps (write, rename, remove) are seen as one. */
const settleMs = 100
const quietMs = 1000

const isExhausted = (error: unknown): boolean => error instanceof KeepwardError && error.code === 'resources-exhausted'

/** Events of the directory that now has the name. */
class WatchedDirectory {
  readonly #path: string
  readonly #heard: (name: string | null) => void
  #watch: { readonly watcher: FSWatcher; readonly stats: Stats } | undefined
  #closed = false

  constructor(path: string, heard: (name: string | null) => void) {
    this.#path = path
    this.#heard = heard
  }

  /** To be called before each look, so that nothing falls between the two. Without a directory nothing is heard. */
  async renew(): Promise<void> {
    // Asked in another thread: a disk that does not answer must not hold up this one.
    const stats = await lstat(this.#path).catch(() => undefined)
    const now = this.#watch?.stats
    if (stats !== undefined && stats.ino === now?.ino && stats.dev === now.dev) return
    this.#watch?.watcher.close()
    this.#watch = undefined
    if (stats === undefined || this.#closed) return
    try {
      const watcher = watch(this.#path, { persistent: false }, (_event, name) => {
        this.#heard(name)
      })
      // Whatever it is, the next look makes another one.
      watcher.on('error', () => {
        this.#watch = undefined
      })
      this.#watch = { watcher, stats }
    } catch {
      // No more watches to be had (inotify(7), max_user_instances): the looks go on.
    }
  }

  close(): void {
    this.#closed = true
    this.#watch?.watcher.close()
  }
}
