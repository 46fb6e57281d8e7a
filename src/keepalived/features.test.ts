import { expect, test } from 'vitest'
import { compareVersions, parseVersion } from './features.ts'

const debian12 = `Keepalived v2.2.7 (01/16,2022)

Copyright(C) 2001-2022 Alexandre Cassen, <acassen@gmail.com>

Built with kernel headers for Linux 5.19.11

configure options: --build=x86_64-linux-gnu --enable-json

Config options:  NFTABLES LVS REGEX VRRP VRRP_AUTH VRRP_VMAC JSON BFD INIT=systemd SYSTEMD_NOTIFY

System options:  VSYSLOG MEMFD_CREATE
`

test('parseVersion() reads version and options of Debian 12', () => {
  expect(parseVersion(debian12)).toEqual({
    version: { major: 2, minor: 2, patch: 7 },
    options: new Set(
      ['NFTABLES', 'LVS', 'REGEX', 'VRRP', 'VRRP_AUTH', 'VRRP_VMAC', 'JSON', 'BFD', 'INIT=systemd'].concat(
        'SYSTEMD_NOTIFY',
      ),
    ),
  })
})

test('parseVersion() reads a commit after the version, and no options', () => {
  expect(parseVersion('Keepalived v2.3.1 (05/24,2024), git commit v2.3.0-49-g\n')).toEqual({
    version: { major: 2, minor: 3, patch: 1 },
    options: new Set(),
  })
})

test.each(['', 'bash: keepalived: not found', 'Keepalived v2.2', 'xKeepalived v2.2.7 '])(
  'parseVersion() refuses %j',
  (text) => {
    expect(() => parseVersion(text)).toThrow('Cannot understand what keepalived --version says')
  },
)

test('compareVersions() compares as numbers', () => {
  const version = (major: number, minor: number, patch: number) => ({ major, minor, patch })
  expect(compareVersions(version(2, 10, 0), version(2, 2, 0))).toBeGreaterThan(0)
  expect(compareVersions(version(2, 1, 5), version(2, 2, 0))).toBeLessThan(0)
  expect(compareVersions(version(2, 2, 0), version(2, 2, 0))).toBe(0)
})
