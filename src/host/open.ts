import type { AnchorPoint } from '../anchor/anchor.ts'
import { AnchorKeeper, type KeeperOptions } from '../anchor/keeper.ts'
import type { Clock } from '../base/instant.ts'
import type { Secret } from '../base/secret.ts'
import { executableBehind, type Executable } from '../linux/peer-executable.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import { openWatchSocket } from '../linux/watch.ts'
import type { AppliedConfig } from './applied-config.ts'
import { lockIdentity } from './identity.ts'
import type { VaultReader } from './known-secrets.ts'
import { HostLink } from './link.ts'
import type { Host, HostEvent, RootEvent, RootHalf } from './operation.ts'
import { openRealHost } from './real-host.ts'
import type { HostRefusal } from './refusal.ts'
import { hostSocketName } from './server.ts'
import { WatchedHost } from './watched-host.ts'

export interface HostPlace {
  readonly agent: string
  readonly clock: Clock
  /** The directory of keepward-host. */
  readonly hostPath: string
  /** The agent's own, for one that is root and does root's work itself. */
  readonly runDir: SafeDir
  /** Of an agent that is root, which keeps what it applies itself. */
  readonly applied: Pick<AppliedConfig, 'tableOf' | 'forget'>
  /** Of an agent that is root, for the secrets of routers. */
  readonly vault: VaultReader | undefined
  /** Where an agent that is root keeps its anchors. */
  readonly anchors: Pick<KeeperOptions, 'path' | 'syslog' | 'onCopyTrouble' | 'onNewJournal'>
  /** The root half cannot be asked, and why; undefined: it can again. */
  readonly onTrouble: (text: string | undefined) => void
  /** What routers want of Vault cannot be had, and why; undefined: it can again. */
  readonly onVaultTrouble: (text: string | undefined) => void
  /** The root half has read what it logs in with at Vault. */
  readonly onVaultLogin: () => void
  /** Undefined: logs call routers what they are. */
  readonly pseudonymKey: Secret | undefined
  /** keepward-host did not do something that was asked of it. */
  readonly onRefused: (refusal: HostRefusal) => void
}

/** What an agent makes its host with; `using` it ends what only this process holds. */
export interface OpenedHost extends Disposable {
  readonly make: (emit: (event: HostEvent) => void) => Host
  /** Root's word that the journal came that far. Throws as {@link AnchorKeeper.sign}, and `host-unreachable`. */
  readonly sign: (point: AnchorPoint) => Promise<void>
  /** What the process behind a connection runs. The descriptor may be closed as soon as this returns. Throws `host-unreachable` or `file-failed`. */
  readonly executableBehind: (fd: number) => Promise<Executable | undefined>
}

/**
 * The host of an agent: an unprivileged one asks keepward-host; one that is root does it all itself. Throws `host-unreachable`, or what
 * {@link openRealHost} throws.
 */
export function openHost(place: HostPlace): Promise<OpenedHost> {
  return process.geteuid?.() === 0 ? openOwn(place) : openLink(place)
}

async function openOwn({
  agent,
  clock,
  runDir,
  applied,
  anchors,
  vault,
  onVaultTrouble,
  onVaultLogin,
}: HostPlace): Promise<OpenedHost> {
  const lock = lockIdentity(agent)
  const openReal = await openRealHost({ agent, agentUid: 0, runDir, clock, vault })
  const openRoot = (emit: (event: RootEvent) => void) => keeping(openReal(emit), applied)
  const watchFd = openWatchSocket()
  const keeper = new AnchorKeeper({ ...anchors, agent, clock })
  return {
    make: (emit) => new WatchedHost({ agent, clock, watchFd, openRoot, onVaultTrouble, onVaultLogin }, emit),
    sign: keeper.sign.bind(keeper),
    executableBehind: (fd) => Promise.resolve(executableBehind(fd)),
    [Symbol.dispose]: () => {
      keeper.close()
      lock.release()
    },
  }
}

/** As keepward-host does it: what is not kept is not taken over. */
function keeping(root: RootHalf, applied: HostPlace['applied']): RootHalf {
  return {
    async configure(table) {
      if (table === 'nothing') await applied.forget()
      else await applied.tableOf(table.hash, true)
      await root.configure(table)
    },
    stage: root.stage.bind(root),
    perform: root.perform.bind(root),
    close: root.close.bind(root),
  }
}

async function openLink({
  agent,
  clock,
  hostPath,
  pseudonymKey,
  onTrouble,
  onVaultTrouble,
  onVaultLogin,
  onRefused,
}: HostPlace): Promise<OpenedHost> {
  // What it says before anybody listens are hints, but for this one.
  let tell = (event: RootEvent) => {
    if (event.type === 'vault') onVaultTrouble(event.trouble ?? undefined)
  }
  const { link, watchFd } = await HostLink.open({
    path: `${hostPath}/${hostSocketName}`,
    ownerUid: 0,
    onTrouble,
    onRefused,
    pseudonymKey,
    emit: (event) => {
      tell(event)
    },
  })
  const openRoot = (emit: (event: RootEvent) => void) => {
    tell = emit
    return link
  }
  return {
    make: (emit) => new WatchedHost({ agent, clock, watchFd, openRoot, onVaultTrouble, onVaultLogin }, emit),
    sign: link.sign.bind(link),
    executableBehind: link.executableBehind.bind(link),
    // Also when no host was made of it: a link that is whole keeps the process alive.
    [Symbol.dispose]: () => void link.close(),
  }
}
