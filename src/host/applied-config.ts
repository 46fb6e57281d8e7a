import { KeepwardError } from '../base/error.ts'
import { forgetApplied, keepApplied } from '../config/applied.ts'
import { appliedFileOf } from '../config/read.ts'
import { readTrustedConfig, type ConfigBytes, type TrustedConfig } from '../config/trusted.ts'
import type { Table } from './operation.ts'

/**
 * The config as the root half reads it, for itself. What is applied is kept in a copy beside the file (`config/applied.ts`), which it reads again
 * when it is started anew, or asked for what runs, and somebody has changed the file but not applied it.
 */
export class AppliedConfig {
  readonly #file: string
  readonly #hostname: string
  #running: TrustedConfig

  constructor(file: string, hostname: string, running: TrustedConfig) {
    this.#file = file
    this.#hostname = hostname
    this.#running = running
  }

  /** The routers of the config of that hash. Throws `config-changed` when there is no such config, `config-not-kept`, or what reading it throws. */
  async tableOf(hash: string, isApplied: boolean): Promise<Table> {
    const found = await this.#find(hash)
    const loaded = await found.load(this.#running)
    if (isApplied) {
      await keepApplied(this.#file, found)
      this.#running = loaded
    }
    return { hash, routers: loaded.config.routers }
  }

  /** No config is wanted any more: the next start takes the file. */
  forget(): Promise<void> {
    return forgetApplied(this.#file)
  }

  async #find(hash: string): Promise<ConfigBytes> {
    const file = await this.#look(this.#file)
    if ('bytes' in file && file.hash === hash) return file
    const copy = await this.#look(appliedFileOf(this.#file))
    if ('bytes' in copy && copy.hash === hash) return copy
    if (!('bytes' in file)) throw file
    throw new KeepwardError('config-changed', 'The config file was changed since the agent read it', {
      hint: 'apply it again once it is as it shall be',
    })
  }

  async #look(path: string): Promise<ConfigBytes | KeepwardError> {
    try {
      return await readTrustedConfig(path, this.#hostname)
    } catch (error) {
      if (error instanceof KeepwardError) return error
      throw error
    }
  }
}
