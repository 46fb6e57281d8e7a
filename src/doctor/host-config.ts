import { hostname } from 'node:os'
import type { AgentConfig } from '../config/agent-config.ts'
import { readConfig } from '../config/read.ts'
import { accountNumber } from '../linux/account.ts'

/** As {@link readConfig}; accounts that the file names and this host does not have are problems of it too. */
export function readConfigForHost(file: string): Promise<{ config: AgentConfig; hash: string }> {
  return readConfig(file, hostname(), accountNumber)
}
