import { expect, test } from 'vitest'
import { prefix, routerSpec } from '../../test/support/router.ts'
import { renderFlows } from './flow-table.ts'

const connectionTracking = { source: '169.254.192.1', peer: '169.254.192.2', port: 3780 }

test('renderFlows() renders nothing where no flows are told', () => {
  expect(renderFlows(routerSpec())).toBeUndefined()
})

test('renderFlows() hears the peer alone, a backup all of it and a primary no flows, and lets a primary alone tell them', () => {
  expect(renderFlows(routerSpec({ connectionTracking }))).toBe(`table inet keepward_flows {
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname "ha0" udp dport 3780 notrack
  }
  chain input {
    type filter hook input priority -300; policy accept;
    meta l4proto != udp accept
    udp dport != 3780 accept
    iifname "ha0" ip saddr 169.254.192.2 ip daddr 169.254.192.1 jump heard
    drop
  }
  chain heard {
    ip saddr set 169.254.0.7
    udp length > 40 fib saddr . iif type local drop
    ip saddr set 169.254.192.2
    accept
  }
  chain output {
    type filter hook output priority -300; policy accept;
    oifname "ha0" ip daddr 169.254.192.2 udp dport 3780 jump told
  }
  chain told {
    notrack
    ip saddr set 169.254.0.7
    udp length > 40 fib saddr . oif type != local drop
    ip saddr set 169.254.192.1
  }
}
`)
})

test('renderFlows() speaks IPv6 where the router does', () => {
  const six = { source: 'fe80::a:1', peer: 'fe80::a:2', port: 4000 }
  const text = renderFlows(routerSpec({ connectionTracking: six, marker: prefix('fe80::5652:7/64') }))
  expect(text).toContain('    iifname "ha0" ip6 saddr fe80::a:2 ip6 daddr fe80::a:1 jump heard\n')
  expect(text).toContain('    ip6 saddr set fe80::5652:7\n    udp length > 40 fib saddr . iif type local drop\n')
})

test.each([
  ['a peer of another family', { ...connectionTracking, peer: 'fe80::1' }],
  ['a peer with words behind it', { ...connectionTracking, peer: '169.254.192.2 accept' }],
  ['no port', { ...connectionTracking, port: 0 }],
])('renderFlows() refuses %s', (_, wrong) => {
  expect(() => renderFlows(routerSpec({ connectionTracking: wrong }))).toThrow('Cannot render the config')
})
