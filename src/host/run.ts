import { once } from 'node:events'
import { hostname } from 'node:os'
import { AnchorKeeper, type KeeperOptions } from '../anchor/keeper.ts'
import { syslogTargetOf } from '../anchor/syslog.ts'
import { KeepwardError } from '../base/error.ts'
import { systemClock } from '../base/instant.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import { readAtStart, type StartConfig } from '../config/applied.ts'
import { accountNumber } from '../linux/account.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { demandAll, ownPrivileges, type Privileges } from '../linux/privileges.ts'
import { feedWatchdog, notifyServiceManager } from '../linux/sd-notify.ts'
import { openVault } from '../vault/open.ts'
import { AppliedConfig } from './applied-config.ts'
import { lockIdentity } from './identity.ts'
import { openRealHost } from './real-host.ts'
import { serveHost, type HostServerParts } from './server.ts'

/** Without these nothing can be made: namespaces, what is in them, and a socket of the agent's. */
const needed = ['CAP_SYS_ADMIN', 'CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_CHOWN']

export interface HostRunOptions {
  /** Absolute path of the config, which is read anew whenever the agent says that it has. */
  readonly file: string
  /** The config was read; nothing is told before. */
  readonly onLoaded: (config: AgentConfig, start: StartConfig) => void
  /** It serves the agent from now on. */
  readonly onReady: (ready: Privileges & { readonly directory: string }) => void
  readonly onPseudonymKey: HostServerParts['onPseudonymKey']
  readonly onRefused: HostServerParts['onRefused']
  readonly onCopyTrouble: KeeperOptions['onCopyTrouble']
  readonly onNewJournal: KeeperOptions['onNewJournal']
  /** What is wanted of Vault cannot be had, and why; undefined: it can again. */
  readonly onVaultTrouble: (text: string | undefined) => void
}

/**
 * Run the root half in the foreground until SIGTERM or SIGINT; keepalived and namespaces stay. Resolves with the exit status. Throws what makes
 * it impossible; then nothing was touched.
 */
export async function runHost(options: HostRunOptions): Promise<number> {
  const { file, onLoaded, onReady, onCopyTrouble, onNewJournal, onPseudonymKey, onRefused, onVaultTrouble } = options
  const toEnd = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  if (process.geteuid?.() !== 0) throw new KeepwardError('permission-denied', 'keepward-host must run as root')
  const privileges = ownPrivileges()
  demandAll(privileges, needed)
  const start = await readAtStart(file, hostname())
  const { loaded: running } = start
  onLoaded(running.config, start)
  const { agent, paths, audit, vault: settings } = running.config
  const agentUid = await uidOf(agent.user)
  await using open = new AsyncDisposableStack()
  open.use(lockIdentity(agent.id))
  // The agent must pass through it to the socket; everything else in it is closed to all but root.
  const dir = open.use(SafeDir.open(paths.host, { create: true, mode: 0o711, volatile: true }))
  await dir.removeUnfinished()
  const vault = await openVault(settings, 'host', systemClock)
  vault?.onTrouble(onVaultTrouble)
  open.defer(() => vault?.close())
  const openRoot = await openRealHost({ agent: agent.id, agentUid, runDir: dir, clock: systemClock, vault })
  const applied = new AppliedConfig(file, hostname(), running)
  const keeper = new AnchorKeeper({
    path: paths.anchors,
    agent: agent.id,
    clock: systemClock,
    syslog: syslogTargetOf(audit),
    onCopyTrouble,
    onNewJournal,
  })
  open.defer(() => {
    keeper.close()
  })
  const sign = keeper.sign.bind(keeper)
  open.defer(await serveHost({ dir, agentUid, openRoot, applied, sign, onPseudonymKey, onRefused }))
  notifyServiceManager('READY=1')
  open.defer(feedWatchdog())
  onReady({ directory: dir.path, ...privileges })
  await toEnd
  notifyServiceManager('STOPPING=1')
  return 0
}

/** Throws `config-invalid` when this host has no such user. */
async function uidOf(user: string | number): Promise<number> {
  const uid = typeof user === 'number' ? user : await accountNumber('passwd', user)
  if (uid !== undefined) return uid
  throw new KeepwardError('config-invalid', `agent.user names the user ${user}, which this host does not have`, {
    hint: `make it: useradd --system --no-create-home --shell /usr/sbin/nologin ${user}`,
  })
}
