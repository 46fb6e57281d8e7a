import { existsSync, readFileSync } from 'node:fs'
import { readSysctl } from '../linux/sysctl.ts'
import { ok, unknown, warning, type Answer, type Check } from './check.ts'
import type { Subject } from './subject.ts'

/** Settings of the kernel that drop adverts or routed packets without a word. */
export const networkChecks: readonly Check[] = [
  { name: 'rp_filter', wanted: 'off or loose in a new namespace', needs: 'scratch', look: reversePathFilter },
  {
    name: 'bridge filter',
    wanted: 'the firewall of the host leaves bridged packets alone',
    look: () => bridgeFilter((key) => readIfThere(`/proc/sys/net/bridge/${key}`)),
  },
]

/**
 * A new namespace inherits `all` and `default` of the first one (net.core.devconf_inherit_init_net), and the greater of
 * `all` and the interface's counts (ip-sysctl), so the namespace is asked and not the host.
 */
function reversePathFilter({ scratch }: Subject): Answer {
  if (scratch.kind === 'none') return unknown(scratch.reason, 'mend the check "namespaces" first')
  const { fd } = scratch.scratch.namespace
  const strict = ['all', 'default'].filter((scope) => readSysctl(fd, `net/ipv4/conf/${scope}/rp_filter`) === '1')
  if (strict.length === 0) return ok('not strict')
  const keys = strict.map((scope) => `net.ipv4.conf.${scope}.rp_filter`)
  return warning(
    `strict (${keys.join(', ')}): packets that come in where their answer would not go out are dropped`,
    `set ${keys.map((key) => `${key}=2`).join(' and ')} in /etc/sysctl.d and run sysctl --system`,
  )
}

/** br_netfilter hands what a bridge passes, adverts too, to the host's iptables, which often drop what they do not know. */
export function bridgeFilter(read: (key: string) => string | undefined): Answer {
  const on = ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'].filter((key) => read(key) === '1')
  if (on.length === 0) return ok('it does')
  return warning(
    `${on.join(', ')}: it may drop VRRP and routed packets between bridge ports`,
    `sysctl ${on.map((key) => `net.bridge.${key}=0`).join(' ')}, or accept protocol 112 and the routers' networks in FORWARD`,
  )
}

const readIfThere = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
