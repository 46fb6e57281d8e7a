import { resolve } from 'node:path'
import type { Command } from 'commander'
import { readStatePath } from '../config/read.ts'
import type { Globals } from './globals.ts'

/**
 * The options of a command that works in the agent's state directory, with the one that the config file names where that
 * file was named and the directory was not. Throws `config-unreadable`.
 */
export async function withNamedState(
  program: Command,
  { config }: Globals,
  options: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const named = program.getOptionValueSource('config') === 'cli'
  return named && options['state'] === undefined ? { ...options, state: await readStatePath(resolve(config)) } : options
}
