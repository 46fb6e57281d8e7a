import type { Clock } from '../base/instant.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import { openVault } from '../vault/open.ts'
import type { Vault } from '../vault/vault.ts'
import type { Agent } from './agent.ts'
import type { StateChanges } from './state-change.ts'
import { readVaultKeys } from './vault-keys.ts'

/** The agent's own login to Vault, if the config has one; what goes wrong there is a condition. */
export async function openOwnVault(
  settings: AgentConfig['vault'],
  agent: Pick<Agent, 'noteTrouble' | 'recorder'>,
  clock: Clock,
): Promise<Vault | undefined> {
  const vault = await openVault(settings, 'agent', clock)
  vault?.onTrouble((text) => {
    agent.noteTrouble('vault', text)
  })
  vault?.onLogin((source) => {
    agent.recorder.secretRead(source, 'vault')
  })
  return vault
}

/** Hand in the keys of senders that Vault keeps, once they are read. Returns how to stop. */
export function handInKeys(
  vault: Vault,
  changes: StateChanges,
  agent: Pick<Agent, 'noteTrouble' | 'recorder'>,
): () => void {
  return readVaultKeys({
    read: vault.read.bind(vault),
    keys: changes.later,
    onKey: (id, key, source) => {
      changes.addKey(id, key)
      agent.recorder.secretRead(source, id)
    },
    onTrouble: (text) => {
      agent.noteTrouble('vaultKeys', text)
    },
  })
}
