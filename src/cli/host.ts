import { join, resolve } from 'node:path'
import { makeLogger } from '../agent/log.ts'
import { pseudonymKeyName, Pseudonyms } from '../agent/pseudonym.ts'
import { runHost } from '../host/run.ts'
import type { Globals } from './globals.ts'
import { keyIn } from './key-file.ts'

/** `keepward host`: do for the agent what needs root, until SIGTERM; keepalived runs on. */
export function host({ config }: Globals): Promise<number> {
  const agent = 'keepward-host'
  let log = makeLogger('info', agent)
  return runHost({
    file: resolve(config),
    onLoaded: ({ logging, paths, routers }) => {
      if (logging.routerIds === 'plain') return
      const names = new Pseudonyms()
      names.learn(routers.map(({ id }) => id))
      useKeyOnceThere(names, join(paths.state, pseudonymKeyName))
      log = makeLogger('info', agent, { names })
    },
    onReady: ({ directory, uid, capabilities }) => {
      log.info({ directory, uid, capabilities }, 'root half ready')
    },
    onCopyTrouble: (text) => {
      if (text === undefined) log.info('anchors of the journal are copied to syslog again')
      else log.warn({ text }, 'anchors of the journal cannot be copied to syslog')
    },
    onRefused: (peer, why) => {
      log.warn({ uid: peer?.uid, gid: peer?.gid, pid: peer?.pid, why }, 'connection to the root half ended')
    },
  })
}

/** The agent makes the key, at its first start. */
function useKeyOnceThere(names: Pseudonyms, file: string): void {
  try {
    names.useKey(keyIn(file))
  } catch {
    setTimeout(useKeyOnceThere, keyLookMs, names, file).unref()
  }
}

const keyLookMs = 1000
