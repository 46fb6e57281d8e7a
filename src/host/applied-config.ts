import { KeepwardError } from '../base/error.ts'
import { configHash } from '../config/load.ts'
import { loadAgain, readTrustedConfig, type TrustedConfig } from '../config/trusted.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { Table } from './operation.ts'

const copyName = 'applied.yaml'
/** As long as a config may be. */
const maxBytes = 1024 * 1024

/**
 * The config as keepward-host reads it, for itself. What the agent applied last lies in a copy that root alone can write, so that an
 * agent goes on with what it runs when this process is started anew and somebody has changed the file, but not applied it.
 */
export class AppliedConfig {
  readonly #file: string
  readonly #hostname: string
  readonly #dir: SafeDir
  #running: TrustedConfig

  constructor(file: string, hostname: string, dir: SafeDir, running: TrustedConfig) {
    this.#file = file
    this.#hostname = hostname
    this.#dir = dir
    this.#running = running
  }

  /** The routers of the config of that hash. Throws `config-changed` when there is no such config, or what reading it throws. */
  async tableOf(hash: string, isApplied: boolean): Promise<Table> {
    const file = await readTrustedConfig(this.#file, this.#hostname)
    if (file.hash !== hash) return { hash, routers: (await this.#again(hash)).routers }
    const loaded = await file.load(this.#running)
    if (isApplied) {
      await this.#dir.write(copyName, file.bytes)
      this.#running = loaded
    }
    return { hash, routers: loaded.config.routers }
  }

  async #again(hash: string): Promise<ReturnType<typeof loadAgain>> {
    const bytes = await this.#dir.read(copyName, { maxBytes })
    if (bytes !== undefined && configHash(bytes) === hash) return loadAgain(this.#file, bytes, this.#hostname)
    throw new KeepwardError('config-changed', 'The config file was changed since the agent read it', {
      hint: 'apply it again once it is as it shall be',
    })
  }
}
