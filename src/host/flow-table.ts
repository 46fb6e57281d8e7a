import type { RouterSpec } from '../router/spec.ts'
import { addressWord, interfaceWord, portWord } from '../base/words.ts'

export const flowTable = 'keepward_flows'
/** Asking and signs of life; the shortest word on a flow is twice as long (conntrackd 1.4). */
const longestAsking = 40

/**
 * Who may tell of flows, in the language of nft(8): the declared peer, on the HA interface; and what is told comes from a primary and goes
 * to a backup, no other way. A host that gives the role up forgets what was masqueraded with the address that leaves it, and what it holds
 * of flows that go on elsewhere ends one day: were that told, the primary would end them too. Who is primary, the kernel knows: the marker
 * is local. `fib` asks that of an address of the packet alone, so the source is the marker while it is asked; and that it comes from the
 * declared address, conntrackd leaves to chance. None of this is tracked: it would be a flow itself. Canonical: equal text is equal meaning.
 * Undefined: there is none. Every word is checked again here. Throws `config-invalid`.
 */
export function renderFlows({ connectionTracking, haInterface, marker }: RouterSpec): string | undefined {
  if (connectionTracking === undefined) return undefined
  const ip = marker.family === 4 ? 'ip' : 'ip6'
  const address = (text: string, what: string) => addressWord(text, marker.family, what)
  const [ha, port] = [interfaceWord(haInterface, 'HA interface'), portWord(connectionTracking.port, 'port of flows')]
  const [source, peer] = [address(connectionTracking.source, 'source'), address(connectionTracking.peer, 'peer')]
  const role = address(marker.address, 'marker')
  return [
    `table inet ${flowTable} {`,
    '  chain prerouting {',
    '    type filter hook prerouting priority -300; policy accept;',
    `    iifname "${ha}" udp dport ${port} notrack`,
    '  }',
    '  chain input {',
    '    type filter hook input priority -300; policy accept;',
    '    meta l4proto != udp accept',
    `    udp dport != ${port} accept`,
    `    iifname "${ha}" ${ip} saddr ${peer} ${ip} daddr ${source} jump heard`,
    '    drop',
    '  }',
    '  chain heard {',
    `    ${ip} saddr set ${role}`,
    `    udp length > ${String(longestAsking)} fib saddr . iif type local drop`,
    `    ${ip} saddr set ${peer}`,
    '    accept',
    '  }',
    '  chain output {',
    '    type filter hook output priority -300; policy accept;',
    `    oifname "${ha}" ${ip} daddr ${peer} udp dport ${port} jump told`,
    '  }',
    '  chain told {',
    '    notrack',
    `    ${ip} saddr set ${role}`,
    `    udp length > ${String(longestAsking)} fib saddr . oif type != local drop`,
    `    ${ip} saddr set ${source}`,
    '  }',
    '}',
    '',
  ].join('\n')
}
