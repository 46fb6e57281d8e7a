import type { LocalSource } from '../base/secret-source.ts'
import type { VaultLogin } from '../base/vault-login.ts'
import type { RouterSpec } from '../router/spec.ts'
import type { AgentConfig } from './agent-config.ts'
import { sinkWeakenings } from './sink-weakening.ts'
import { stateChangeSchema, type SenderEntry } from './state-change-schema.ts'

/** A setting that opens what stays shut without it. */
export interface WeakeningRule {
  /** As docs/config.md names it. */
  readonly setting: string
  /** What it is where nothing is weakened. */
  readonly safe: string
  /** What it opens, and to whom. */
  readonly opens: string
  /** What an operator can do instead. */
  readonly instead: string
  /** Its values in a config that weaken, with the place where there are several; empty when none does. */
  readonly found: (config: AgentConfig) => readonly string[]
}

/** A rule that a config breaks. */
export interface Weakening extends Omit<WeakeningRule, 'found'> {
  readonly found: readonly string[]
}

/** Every setting of a config that weakens it, in the order of the file. */
export function weakeningsOf(config: AgentConfig): Weakening[] {
  return weakeningRules.map((rule) => ({ ...rule, found: rule.found(config) })).filter(({ found }) => found.length > 0)
}

const limits = stateChangeSchema.parse(undefined)

const environment = {
  opens: 'the secret stands in the unit or in whatever starts the process that reads it, and in /proc for its user',
  instead: 'use a file, or a credential of the service manager',
} as const

const proxyAsRoot = {
  safe: 'an account without rights',
  opens: 'haproxy reads what tenants send as root',
  instead: 'leave it out: haproxy, and open the socket of the service to that account',
} as const

export const weakeningRules: readonly WeakeningRule[] = [
  {
    setting: 'agent.user',
    safe: 'a user of its own',
    opens: 'what every sender and reader talks to is root',
    instead: 'leave it out, make the user keepward, and run both shipped units',
    found: ({ agent }) => when(isRoot(agent.user), agent.user),
  },
  {
    setting: 'paths.state',
    safe: 'not below a directory for temporary files',
    opens: 'the journal and the keys lie where cleaners remove what is old',
    instead: 'leave it out: /var/lib/keepward',
    found: ({ paths }) => when(/^\/(?:tmp|var\/tmp|dev\/shm)(?:\/|$)/.test(paths.state), paths.state),
  },
  {
    setting: 'control.group',
    safe: 'a group for this alone',
    opens: 'members of a group that exists for something else read roles, senders and the journal',
    instead: 'leave it out, and put readers into the group keepward',
    found: ({ control }) => when(control.group !== 'keepward', control.group),
  },
  {
    setting: 'control.metricsPort',
    safe: 'left out',
    opens: 'every local user reads the names and states of all routers',
    instead: 'leave it out, and read /metrics from the control socket as a member of control.group',
    found: ({ control }) => given(control.metricsPort),
  },
  {
    setting: 'journal.retainDays',
    safe: '30 or more',
    opens: 'who did what is forgotten sooner',
    instead: 'keep 30 days or more',
    found: ({ journal }) => when(journal.retainDays < 30, journal.retainDays),
  },
  {
    setting: 'journal.maxSizeMb',
    safe: '256 or more',
    opens: 'whoever makes many records pushes older ones out sooner',
    instead: 'allow 256 or more',
    found: ({ journal }) => when(journal.maxSizeMb < 256, journal.maxSizeMb),
  },
  {
    setting: 'config.applyChanges',
    safe: 'false',
    opens: 'whatever comes to stand in the file runs a second later, although nobody looked at it',
    instead: 'leave it out, and run `keepward plan` and `keepward apply` after a change',
    found: ({ config }) => when(config.applyChanges, true),
  },
  {
    setting: 'stateChange.socketGroup',
    safe: 'left out',
    opens: 'members of the group reach the state-change socket',
    instead: 'leave it out where every sender is root or the agent’s own user',
    found: ({ stateChange }) => given(stateChange.socketGroup),
  },
  {
    setting: 'stateChange.openToAll',
    safe: 'left out',
    opens: 'every local user reaches the state-change socket',
    instead: 'name a socketGroup with the senders as its members',
    found: ({ stateChange }) => given(stateChange.openToAll),
  },
  {
    setting: 'stateChange.senders[].routers',
    safe: 'given',
    opens: 'the sender speaks for every router, those of later configs too',
    instead: 'name the routers of each sender',
    found: ({ stateChange }) => stateChange.senders.filter(({ routers }) => routers === undefined).map(senderText),
  },
  {
    setting: 'stateChange.senders[].key.environment',
    safe: 'left out',
    ...environment,
    found: ({ stateChange }) =>
      stateChange.senders.filter(({ key }) => key?.source.kind === 'environment').map(senderText),
  },
  ...sinkWeakenings,
  inVault('vault.host.token.environment', (vault) => tokenOf(vault.host)),
  inVault('vault.host.appRole.secretId.environment', (vault) => secretIdOf(vault.host)),
  inVault('vault.agent.token.environment', (vault) => tokenOf(vault.agent)),
  inVault('vault.agent.appRole.secretId.environment', (vault) => secretIdOf(vault.agent)),
  atMost('stateChange.trusted.connections', limits.trusted.connections, ({ trusted }) => trusted.connections),
  atMost('stateChange.trusted.perSecond', limits.trusted.perSecond, ({ trusted }) => trusted.perSecond),
  atMost('stateChange.others.connections', limits.others.connections, ({ others }) => others.connections),
  atMost('stateChange.others.perSecond', limits.others.perSecond, ({ others }) => others.perSecond),
  atMost('stateChange.perRouter.perSecond', limits.perRouter.perSecond, ({ perRouter }) => perRouter.perSecond),
  atMost('stateChange.perRouter.burst', limits.perRouter.burst, ({ perRouter }) => perRouter.burst),
  {
    setting: 'routers[].ha.multicast',
    safe: 'with peers, or left out',
    opens: 'whoever is on the HA link may send advertisements',
    instead: 'name the peers, with unicast or below multicast',
    found: ({ routers }) =>
      those(routers, ({ advertise }) => advertise.kind === 'multicast' && advertise.peers === undefined),
  },
  {
    setting: 'routers[].ha.unicast.minTtl',
    safe: 'left out',
    opens: 'advertisements from beyond the HA link are believed, from as many hops away as it allows',
    instead: 'put the hosts on one link, or sign the advertisements (authentication: { hmac: ... })',
    found: ({ routers }) => those(routers, ({ advertise }) => advertise.kind === 'unicast' && isLow(advertise.minTtl)),
  },
  {
    setting: 'routers[].authentication',
    safe: 'none',
    opens:
      'the password crosses the wire in clear text: it keeps accidents apart, not attackers, and must not pass for more',
    instead: 'use VRRPv3 without a password on a link of its own, or put IPsec, MACsec or WireGuard under it',
    found: ({ routers }) => those(routers, ({ authentication }) => authentication.kind === 'pass'),
  },
  {
    setting: 'routers[].authentication.pass.environment',
    safe: 'left out',
    ...environment,
    found: ({ routers }) =>
      those(
        routers,
        ({ authentication }) => authentication.kind === 'pass' && authentication.password.kind === 'environment',
      ),
  },
  {
    setting: 'routers[].authentication.hmac.mode',
    safe: 'enforce',
    opens: 'advertisements without a signature are believed too',
    instead: 'leave it out once every host signs',
    found: ({ routers }) =>
      those(routers, ({ authentication }) => authentication.kind === 'hmac' && authentication.mode !== 'enforce'),
  },
  {
    setting: 'routers[].interfaces[].acceptRouterAdvertisements',
    safe: 'false',
    opens: 'whoever is on that link can make himself the router’s way to everywhere else',
    instead: 'name the way in virtualRoutes',
    found: ({ routers }) =>
      those(routers, ({ interfaces }) => interfaces.some((one) => one.acceptRouterAdvertisements)),
  },
  {
    setting: 'routers[].metadata.user',
    ...proxyAsRoot,
    found: ({ routers }) => those(routers, ({ metadata }) => isRoot(metadata?.user)),
  },
  {
    setting: 'routers[].metadata.group',
    ...proxyAsRoot,
    found: ({ routers }) => those(routers, ({ metadata }) => isRoot(metadata?.group)),
  },
  {
    setting: 'routers[].connectionTracking',
    safe: 'left out',
    opens:
      'conntrackd, which is root, reads what comes from the peer’s address on the HA link, unsigned: whoever takes that address there can tell a backup of connections',
    instead: 'leave it out where connections may end with a failover, or protect the HA link (docs/operations.md)',
    found: ({ routers }) => those(routers, ({ connectionTracking }) => connectionTracking !== undefined),
  },
]

function inVault(
  setting: string,
  sourceOf: (vault: NonNullable<AgentConfig['vault']>) => LocalSource | undefined,
): WeakeningRule {
  const found = ({ vault }: AgentConfig) => {
    const source = vault === undefined ? undefined : sourceOf(vault)
    return source?.kind === 'environment' ? [source.variable] : []
  }
  return { setting, safe: 'left out', ...environment, found }
}

const tokenOf = (login: VaultLogin | undefined) => (login?.kind === 'token' ? login.token : undefined)
const secretIdOf = (login: VaultLogin | undefined) => (login?.kind === 'app-role' ? login.secretId : undefined)

function atMost(
  setting: string,
  most: number,
  value: (stateChange: AgentConfig['stateChange']) => number,
): WeakeningRule {
  return {
    setting,
    safe: `at most ${String(most)}`,
    opens: 'one flood takes more of the agent’s time and of the journal',
    instead: 'leave it out, unless the senders need more',
    found: ({ stateChange }) => when(value(stateChange) > most, value(stateChange)),
  }
}

const isRoot = (account: string | number | undefined): boolean =>
  account === 'root' || (account !== undefined && Number(account) === 0)

const those = (routers: readonly RouterSpec[], weak: (router: RouterSpec) => boolean): string[] =>
  routers.filter(weak).map(({ id }) => id)
const isLow = (minTtl: number | undefined): boolean => minTtl !== undefined && minTtl < 255
const given = (value: unknown): string[] => when(value !== undefined, value)
const when = (weak: boolean, value: unknown): string[] => (weak ? [String(value)] : [])

function senderText({ user, uid, group, gid, key }: SenderEntry): string {
  const kinds = { user, uid, group, gid, key: key?.id }
  const [kind = 'nobody', who = ''] = Object.entries(kinds).find(([, value]) => value !== undefined) ?? []
  return `${kind} ${String(who)}`
}
