import { hostname } from 'node:os'
import { syslogTargetOf } from '../anchor/syslog.ts'
import { readAtStart, type StartConfig } from '../config/applied.ts'
import { appliedFileOf } from '../config/read.ts'
import { readTrustedConfig, type ConfigFile, type TrustedConfig } from '../config/trusted.ts'
import { systemClock } from '../base/instant.ts'
import type { VaultLogin } from '../base/vault-login.ts'
import { versionText } from '../base/version.ts'
import { AppliedConfig } from '../host/applied-config.ts'
import { openHost } from '../host/open.ts'
import { openJournal } from '../journal/journal.ts'
import { accountNumber } from '../linux/account.ts'
import { lockDirectory } from '../linux/lock.ts'
import { bootId } from '../linux/process.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { openOwnKey } from '../statechange/keys.ts'
import { directoryMode } from '../statechange/server.ts'
import { demandNone, ownPrivileges } from '../linux/privileges.ts'
import { feedWatchdog, notifyServiceManager } from '../linux/sd-notify.ts'
import { openVault } from '../vault/open.ts'
import { Agent } from './agent.ts'
import { Anchoring } from './anchoring.ts'
import type { Applicant } from './applicant.ts'
import { watchClock } from './clock-watch.ts'
import { watchConfigFile } from './config-watch.ts'
import { startControl } from './control/server.ts'
import { makeChronicle } from './events.ts'
import { Executables } from './executables.ts'
import { makeLogger, type Logger } from './log.ts'
import { makeMetrics } from './metrics.ts'
import { handInKeys, openOwnVault } from './own-vault.ts'
import { Pseudonyms, pseudonymKeyName } from './pseudonym.ts'
import { listenForSignals } from './signals.ts'
import { startSinks } from './sinks.ts'
import { accessOf, startStateChanges, type StateChanges } from './state-change.ts'
import { journalName, openStateDirectory } from './state-directory.ts'

/**
 * Run an agent in the foreground until SIGTERM or SIGINT; SIGHUP applies the config file again. Resolves with the exit
 * status. Throws when it cannot start; then nothing was touched, and nothing of ours stays open.
 */
export async function runAgent(file: string, options: { readonly teardown: boolean }): Promise<number> {
  const told = listenForSignals()
  const learned = new Pseudonyms()
  const read = async () => learning(await readTrustedConfig(file, hostname(), accountNumber), learned)
  const { loaded, ...start } = await readAtStart(file, hostname(), accountNumber)
  learned.learn(loaded.config.routers.map(({ id }) => id))
  const { level, routerIds } = loaded.config.logging
  const names = routerIds === 'pseudonym' ? learned : undefined
  const log = makeLogger(level, loaded.config.agent.id, { names })
  try {
    return await runLoaded({ loaded, start, read, names, log, file, told, ...options })
  } catch (error) {
    throw names?.error(error) ?? error
  }
}

interface Opening {
  readonly file: string
  readonly loaded: TrustedConfig
  readonly start: Omit<StartConfig, 'loaded'>
  readonly read: () => Promise<ConfigFile>
  readonly names: Pseudonyms | undefined
  readonly log: Logger
}

interface Running extends Opening {
  readonly told: ReturnType<typeof listenForSignals>
  readonly teardown: boolean
}

async function runLoaded({ told, teardown, ...opening }: Running): Promise<number> {
  const { file, loaded, start, read, log } = opening
  const privileges = ownPrivileges()
  demandNone(privileges)
  await using open = new AsyncDisposableStack()
  const { agent, secrets, report } = await openAgent(open, { ...opening, serves: !teardown })
  await startReporting(agent, report)
  for (const { source, of } of secrets) agent.recorder.secretRead(source, of)
  if (teardown) {
    await agent.teardown()
    log.info('everything that was made is removed')
    return 0
  }
  notifyServiceManager('READY=1')
  open.defer(feedWatchdog())
  log.info(
    { uid: privileges.uid, capabilities: privileges.capabilities.length },
    privileges.uid === 0
      ? 'runs as root, and does by itself what needs root'
      : 'runs without root and without capabilities',
  )
  log.info(
    { version: versionText, config: file, from: start.from, routers: loaded.config.routers.length },
    'agent ready',
  )
  open.defer(watchConfigFile({ agent, file, read }))
  told.onHangUp(() => {
    // Why is said where it is refused, without the words of the config.
    agent.apply({ by: 'signal' }).catch(() => {
      log.error({ change: 'refused' }, 'SIGHUP: config not applied')
    })
  })
  await told.toEnd
  notifyServiceManager('STOPPING=1')
  log.info('agent stops; keepalived runs on')
  return 0
}

/** Not the other way round: what a sink keeps of routers that the agent does not run is removed there, and before its start it runs none. */
export async function startReporting(agent: Pick<Agent, 'start'>, report: (() => void) | undefined): Promise<void> {
  await agent.start()
  report?.()
}

interface Opened {
  readonly agent: Agent
  readonly secrets: readonly SecretRead[]
  /** Begin to report to the sinks. */
  readonly report: (() => void) | undefined
}

/** Open all that an agent needs, each put on the stack that closes it, last opened first. */
async function openAgent(open: AsyncDisposableStack, opening: Opening & { serves: boolean }): Promise<Opened> {
  const { file, loaded, start, read, names, log, serves } = opening
  const { agent: identity, paths, control, journal: retention, audit, stateChange, sinks, vault } = loaded.config
  const access = await accessOf(stateChange)
  const state = open.use(openStateDirectory(paths.state, directoryMode(access)))
  open.use(lockDirectory(state))
  await state.removeUnfinished()
  const pseudonymKey = names && (await openOwnKey(state, pseudonymKeyName))
  if (pseudonymKey !== undefined) names?.useKey(pseudonymKey)
  const readerGid = await accountNumber('group', control.group)
  // Readers of the control socket must be able to pass; everything below is closed to them.
  const runDir = open.use(SafeDir.open(paths.run, { create: true, mode: readerGid === undefined ? 0o700 : 0o711 }))
  const metrics = makeMetrics()
  const chronicle = makeChronicle(log, metrics)
  const clock = systemClock
  const boot = bootId()
  let onHostTrouble: (text: string | undefined) => void = () => undefined
  let vaultTrouble: string | undefined
  let onVaultTrouble = (text: string | undefined) => {
    vaultTrouble = text
  }
  const hostVault = process.geteuid?.() === 0 ? await openVault(vault, 'host', clock) : undefined
  open.defer(() => hostVault?.close())
  const host = open.use(
    await openHost({
      agent: identity.id,
      clock,
      hostPath: paths.host,
      runDir,
      applied: new AppliedConfig(file, hostname(), loaded),
      vault: hostVault,
      anchors: {
        path: paths.anchors,
        syslog: syslogTargetOf(audit),
        onCopyTrouble: (text) => {
          chronicle.anchorsNotCopied(text)
        },
        onNewJournal: (journalId, besides) => {
          chronicle.newJournalSigned(journalId, besides)
        },
      },
      onTrouble: (text) => {
        onHostTrouble(text)
      },
      onVaultTrouble: (text) => {
        onVaultTrouble(text)
      },
      onVaultLogin: () => {
        if (vault?.host !== undefined) agent.recorder.secretRead(loginSecret(vault.host), 'vault', 'host')
      },
      pseudonymKey,
      onRefused: (refusal) => {
        agent.recorder.hostRefused(refusal)
      },
    }),
  )
  const journal = await openJournal({
    dir: state,
    name: journalName,
    agent: identity.id,
    boot,
    clock,
    retain: { days: retention.retainDays, sizeBytes: retention.maxSizeMb * 1024 * 1024 },
  })
  open.defer(() => journal.close(closeJournalMs))
  names?.learn(journal.heads.keys())
  const anchoring = new Anchoring({
    journal,
    sign: host.sign,
    clock,
    onTrouble: (text) => {
      agent.noteTrouble('anchors', text)
    },
    onCopyTrouble: (text) => {
      agent.noteTrouble('anchorCopies', text)
    },
  })
  const executables = new Executables(host.executableBehind)
  const agent = new Agent({
    config: loaded,
    start,
    keptDigest: () => digestOf(appliedFileOf(file)),
    readConfig: read,
    makeHost: host.make,
    journal,
    beforeHostCloses: () => anchoring.finish(),
    clock,
    boot,
    version: versionText,
    privileges: ownPrivileges(),
    executables,
    chronicle,
    metrics,
  })
  open.defer(() => agent.stop())
  open.defer(
    watchClock({
      clock,
      onStep: (text) => {
        agent.noteTrouble('clock', text)
      },
    }),
  )
  anchoring.start()
  onHostTrouble = (text) => {
    agent.noteTrouble('host', text)
    // It says so again, if it is so, once it is back.
    if (text !== undefined) agent.noteTrouble('hostVault', undefined)
  }
  onVaultTrouble = (text) => {
    agent.noteTrouble('hostVault', text)
  }
  if (vaultTrouble !== undefined) onVaultTrouble(vaultTrouble)
  const secrets: SecretRead[] = []
  let report: (() => void) | undefined
  if (names !== undefined)
    secrets.push({ source: { kind: 'file', path: state.pathOf(pseudonymKeyName) }, of: 'pseudonyms' })
  if (serves) {
    const changes = await startStateChanges({
      settings: stateChange,
      access,
      dir: state,
      claims: agent.claims,
      journal,
      boot,
      clock,
      onTrouble: (text) => {
        agent.noteTrouble('stateChange', text)
      },
    })
    open.defer(() => changes.close())
    secrets.push(...changes.secrets)
    const ownVault = await openOwnVault(vault, agent, clock)
    open.defer(() => ownVault?.close())
    if (ownVault !== undefined) open.defer(handInKeys(ownVault, changes, agent))
    if (sinks.length > 0)
      report = () => {
        open.defer(startSinks({ settings: sinks, agent, vault: ownVault, clock }))
      }
    const rotateKeys = async (graceMs: number, applicant: Applicant | undefined) => {
      const rotated = await changes.master.rotate(clock().wallMs, graceMs)
      agent.recorder.keysRotated(applicant, rotated.untilMs)
      return rotated
    }
    const policy = { ownUid: process.geteuid?.() ?? 0, readerGid }
    const { metricsPort } = control
    const version = versionText
    const parts = { agent, executables, metrics, log, version, dir: runDir, policy, rotateKeys, metricsPort }
    open.defer(await startControl(parts))
  }
  return { agent, secrets, report }
}

type SecretRead = StateChanges['secrets'][number]

const closeJournalMs = 5000

const loginSecret = (login: VaultLogin) => (login.kind === 'token' ? login.token : login.secretId)

const digestOf = async (file: string): Promise<string | undefined> =>
  (await readTrustedConfig(file, hostname()).catch(() => undefined))?.hash

/** Whatever is loaded, its routers are known by name from then on. */
const learning = (file: ConfigFile, names: Pseudonyms): ConfigFile => ({
  hash: file.hash,
  stamp: file.stamp,
  async load(running) {
    const loaded = await file.load(running)
    names.learn(loaded.config.routers.map(({ id }) => id))
    return loaded
  },
})
