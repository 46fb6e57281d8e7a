import { once } from 'node:events'
import { hostname } from 'node:os'
import { readTrustedConfig, type ConfigFile, type TrustedConfig } from '../config/trusted.ts'
import { describeError } from '../base/error.ts'
import { systemClock } from '../base/instant.ts'
import { versionText } from '../base/version.ts'
import { openRealHost } from '../host/real-host.ts'
import { openJournal } from '../journal/journal.ts'
import { accountNumber } from '../linux/account.ts'
import { lockDirectory, type Lock } from '../linux/lock.ts'
import { bootId } from '../linux/process.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { directoryMode } from '../statechange/server.ts'
import { notifyServiceManager } from '../linux/sd-notify.ts'
import { Agent } from './agent.ts'
import type { Applicant } from './applicant.ts'
import { watchConfigFile } from './config-watch.ts'
import { startControl } from './control/server.ts'
import { identitiesDirectory } from './identity.ts'
import { makeChronicle } from './events.ts'
import { makeLogger, type Logger } from './log.ts'
import { makeMetrics } from './metrics.ts'
import { accessOf, startStateChanges } from './state-change.ts'
import { journalName, openStateDirectory } from './state-directory.ts'

/**
 * Run an agent in the foreground until SIGTERM or SIGINT; SIGHUP applies the config file again. Resolves with the exit
 * status. Throws when it cannot start; then nothing was touched, and nothing of ours stays open.
 */
export async function runAgent(file: string, options: { readonly teardown: boolean }): Promise<number> {
  const told = listenForSignals()
  const read = () => readTrustedConfig(file, hostname())
  const loaded = (await read()).load()
  const log = makeLogger(loaded.config.logging.level, loaded.config.agent.id)
  await using open = new AsyncDisposableStack()
  const agent = await openAgent(open, { loaded, read, log, serves: !options.teardown })
  await agent.start()
  if (options.teardown) {
    await agent.teardown()
    log.info('everything that was made is removed')
    return 0
  }
  notifyServiceManager('READY=1')
  log.info({ version: versionText, config: file, routers: loaded.config.routers.length }, 'agent ready')
  open.defer(watchConfigFile({ agent, file, read }))
  told.onHangUp(() => {
    agent.apply({ by: 'signal' }).catch((error: unknown) => {
      log.error({ text: describeError(error) }, 'SIGHUP: config not applied')
    })
  })
  await told.toEnd
  notifyServiceManager('STOPPING=1')
  log.info('agent stops; keepalived runs on')
  return 0
}

interface Opening {
  readonly loaded: TrustedConfig
  readonly read: () => Promise<ConfigFile>
  readonly log: Logger
  /** Answer on the control socket. */
  readonly serves: boolean
}

/** Open all that an agent needs, each put on the stack that closes it, last opened first. */
async function openAgent(open: AsyncDisposableStack, { loaded, read, log, serves }: Opening): Promise<Agent> {
  const { agent: identity, paths, control, journal: retention, stateChange } = loaded.config
  const access = await accessOf(stateChange)
  const state = open.use(openStateDirectory(paths.state, directoryMode(access)))
  open.use(lockDirectory(state))
  open.use(lockIdentity(identity.id))
  const readerGid = await accountNumber('group', control.group)
  // Readers of the control socket must be able to pass; everything below is closed to them.
  const runDir = open.use(SafeDir.open(paths.run, { create: true, mode: readerGid === undefined ? 0o700 : 0o711 }))
  const metrics = makeMetrics()
  const clock = systemClock
  const boot = bootId()
  const journal = await openJournal({
    dir: state,
    name: journalName,
    agent: identity.id,
    boot,
    clock,
    retain: { days: retention.retainDays, sizeBytes: retention.maxSizeMb * 1024 * 1024 },
  })
  open.defer(() => journal.close(closeJournalMs))
  const makeHost = await openRealHost({ agent: identity.id, runDir, clock })
  const chronicle = makeChronicle(log, metrics)
  const agent = new Agent({
    config: loaded,
    readConfig: read,
    makeHost,
    journal,
    clock,
    boot,
    version: versionText,
    chronicle,
    metrics,
  })
  open.defer(() => agent.stop())
  if (serves) {
    const onTrouble = agent.noteStateChangeTrouble.bind(agent)
    const changes = await startStateChanges({
      settings: stateChange,
      access,
      dir: state,
      claims: agent.claims,
      journal,
      boot,
      clock,
      onTrouble,
    })
    open.defer(() => changes.close())
    const rotateKeys = async (graceMs: number, applicant: Applicant | undefined) => {
      const rotated = await changes.master.rotate(clock().wallMs, graceMs)
      agent.claims.keysRotated(applicant, rotated.untilMs)
      return rotated
    }
    const policy = { ownUid: process.geteuid?.() ?? 0, readerGid }
    const { metricsPort } = control
    const version = versionText
    open.defer(await startControl({ agent, metrics, log, version, dir: runDir, policy, rotateKeys, metricsPort }))
  }
  return agent
}

const closeJournalMs = 5000

/** From the first moment on, so that no signal finds its default action. */
function listenForSignals(): { readonly toEnd: Promise<unknown>; onHangUp(apply: () => void): void } {
  let apply: () => void = () => undefined
  process.on('SIGHUP', () => {
    apply()
  })
  return {
    toEnd: Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]),
    onHangUp: (next) => {
      apply = next
    },
  }
}

/**
 * Namespaces and the marks in them are seen by the whole machine: two agents of one id would each take the other's routers
 * for leftovers of its own, and remove them. Throws `state-in-use`.
 */
function lockIdentity(id: string): Lock {
  const directory = SafeDir.open(identitiesDirectory, { create: true })
  return lockDirectory(directory, `${id}.lock`)
}
