import { hostname } from 'node:os'
import { readConfig, type LoadedConfig } from '../config/read.ts'
import { accountNumber } from '../linux/account.ts'

/** As {@link readConfig}; accounts that the file names and this host does not have are problems of it too. */
export function readConfigForHost(file: string): Promise<LoadedConfig> {
  return readConfig(file, hostname(), accountNumber)
}
