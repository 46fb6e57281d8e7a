import { once } from 'node:events'
import { hostname } from 'node:os'
import { readConfig } from '../config/read.ts'
import { describeError } from '../base/error.ts'
import { systemClock } from '../base/instant.ts'
import { versionText } from '../base/version.ts'
import { openRealHost } from '../host/real-host.ts'
import { openJournal } from '../journal/journal.ts'
import { lockDirectory, type Lock } from '../linux/lock.ts'
import { bootId } from '../linux/process.ts'
import { run } from '../linux/run.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { notifyServiceManager } from '../linux/sd-notify.ts'
import { Agent } from './agent.ts'
import { startControl } from './control/server.ts'
import { makeChronicle } from './events.ts'
import { makeLogger } from './log.ts'
import { makeMetrics } from './metrics.ts'

/**
 * Run an agent in the foreground until SIGTERM or SIGINT; SIGHUP applies the config file again. Resolves with the exit
 * status. Throws when it cannot start; then nothing was touched.
 */
export async function runAgent(file: string, options: { readonly teardown: boolean }): Promise<number> {
  const read = () => readConfig(file, hostname())
  const loaded = await read()
  const { agent: identity, paths, control, journal: retention, logging } = loaded.config
  const readerGid = await groupId(control.group)
  const state = SafeDir.open(paths.state, { create: true })
  const lock = lockDirectory(state)
  const identityLock = lockIdentity(identity.id)
  // Readers of the control socket must be able to pass; everything below is closed to them.
  const runDir = SafeDir.open(paths.run, { create: true, mode: readerGid === undefined ? 0o700 : 0o711 })
  const log = makeLogger(logging.level, identity.id)
  const metrics = makeMetrics()
  const boot = bootId()
  const journal = await openJournal({
    file: state.pathOf('journal.sqlite'),
    agent: identity.id,
    boot,
    clock: systemClock,
    retain: { days: retention.retainDays, sizeBytes: retention.maxSizeMb * 1024 * 1024 },
  })
  const agent = new Agent({
    config: loaded,
    readConfig: read,
    makeHost: await openRealHost({ agent: identity.id, runDir, clock: systemClock }),
    journal,
    clock: systemClock,
    boot,
    version: versionText,
    chronicle: makeChronicle(log, metrics),
    metrics,
  })
  const policy = { ownUid: process.geteuid?.() ?? 0, readerGid }
  const stopControl = options.teardown
    ? () => Promise.resolve()
    : await startControl({
        agent,
        metrics,
        log,
        version: versionText,
        dir: runDir,
        policy,
        metricsPort: control.metricsPort,
      })
  await agent.start()
  if (!options.teardown) {
    notifyServiceManager('READY=1')
    log.info({ version: versionText, config: file, routers: loaded.config.routers.length }, 'agent ready')
    await untilTold(agent, (error) => {
      log.error({ text: describeError(error) }, 'SIGHUP: config not applied')
    })
    notifyServiceManager('STOPPING=1')
  }
  await stopControl()
  await agent.stop({ teardown: options.teardown })
  identityLock.release()
  lock.release()
  log.info(options.teardown ? 'everything that was made is removed' : 'agent stopped; keepalived runs on')
  return 0
}

/**
 * Namespaces and the marks in them are seen by the whole machine: two agents of one id would each take the other's routers
 * for leftovers of its own, and remove them. Throws `state-in-use`.
 */
function lockIdentity(id: string): Lock {
  const directory = SafeDir.open('/run/keepward-agents', { create: true })
  return lockDirectory(directory, `${id}.lock`)
}

/** Wait for SIGTERM or SIGINT; meanwhile SIGHUP applies the config. */
async function untilTold(agent: Agent, onRefused: (error: unknown) => void): Promise<void> {
  const reload = () => {
    agent.apply().catch(onRefused)
  }
  process.on('SIGHUP', reload)
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  process.off('SIGHUP', reload)
}

/** The number of a group, from wherever this host keeps its groups (getent(1)); undefined when there is none. */
async function groupId(name: string): Promise<number | undefined> {
  const { stdout, exitCode } = await run(['getent', 'group', name], { exitCodes: [0, 2] })
  const gid = Number(stdout.split(':')[2])
  return exitCode === 0 && Number.isInteger(gid) ? gid : undefined
}
