import { resolve } from 'node:path'
import { makeLogger } from '../agent/log.ts'
import { Pseudonyms } from '../agent/pseudonym.ts'
import { runHost } from '../host/run.ts'
import { endOnDefect } from './failure.ts'
import type { Globals } from './globals.ts'

/** `keepward host`: do for the agent what needs root, until SIGTERM; keepalived runs on. */
export function host({ config }: Globals): Promise<number> {
  endOnDefect()
  const agent = 'keepward-host'
  const names = new Pseudonyms()
  let log = makeLogger('info', agent)
  return runHost({
    file: resolve(config),
    onLoaded: ({ logging, routers }, { from, loaded }) => {
      names.learn(routers.map(({ id }) => id))
      if (logging.routerIds === 'pseudonym') log = makeLogger('info', agent, { names })
      log[from === 'unusable-copy' ? 'warn' : 'info']({ digest: loaded.hash, from }, 'config read')
    },
    onReady: ({ directory, uid, capabilities, missing, excess }) => {
      if (missing.length > 0) log.warn({ missing }, 'keepalived has to do without some of what it asks for')
      if (excess.length > 0) log.warn({ excess }, 'has more capabilities than it needs, and may not give them away')
      log.info({ directory, uid, capabilities }, 'root half ready')
    },
    onCopyTrouble: (text) => {
      if (text === undefined) log.info('anchors of the journal are copied to syslog again')
      else log.warn({ text }, 'anchors of the journal cannot be copied to syslog')
    },
    onNewJournal: (journal, besides) => {
      log.warn({ journal, besides }, 'a new journal is signed, beside others that were: was one removed?')
    },
    onVaultTrouble: (text) => {
      if (text === undefined) log.info('Vault gives what is wanted of it again')
      else log.warn({ text }, 'Vault does not give what is wanted of it')
    },
    onPseudonymKey: (key) => {
      names.useKey(key)
    },
    onRefused: ({ peer, ...refusal }) => {
      log.warn({ ...refusal, ...peer }, 'root half refused')
    },
  })
}
