import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { hostCapabilities } from '../../src/host/rights.ts'

const pathOf = (unit: string) => new URL(`../../deploy/systemd/${unit}`, import.meta.url).pathname

/** The settings of a unit in the order of the file. */
function settingsOf(unit: string): Map<string, string[]> {
  const settings = new Map<string, string[]>()
  for (const line of readFileSync(pathOf(unit), 'utf8').split('\n')) {
    const [, name = '', value = ''] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    if (name !== '') settings.set(name, [...(settings.get(name) ?? []), value])
  }
  return settings
}

const security = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8')

/** The settings that systemd-analyze(1) would have otherwise, by name. */
function openItemsOf(unit: string): string[] {
  const words = ['security', '--offline=true', '--no-pager', '--json=short', '--threshold=100', pathOf(unit)]
  const items = JSON.parse(execFileSync('systemd-analyze', words, { encoding: 'utf8', timeout: 20_000 })) as {
    readonly set: boolean | null
    readonly name: string
  }[]
  return items.filter(({ set }) => set === false).flatMap(({ name }) => name.match(/[A-Z][A-Za-z]+(?==)/g) ?? [])
}

/** What systemd-analyze(1) makes of a unit's sandbox: 0 is shut, 10 is open. */
function exposureOf(unit: string): number {
  const words = ['security', '--offline=true', '--no-pager', '--threshold=100', pathOf(unit)]
  const said = execFileSync('systemd-analyze', words, { encoding: 'utf8', timeout: 20_000 })
  return Number(/Overall exposure level for \S+: ([\d.]+)/.exec(said)?.[1])
}

test('the agent’s unit is shut to 2.0 or less, has no capability, and sees who connects', () => {
  expect(exposureOf('keepward-agent.service')).toBeLessThanOrEqual(2)
  const settings = settingsOf('keepward-agent.service')
  expect(settings.get('CapabilityBoundingSet')).toEqual([''])
  expect(settings.get('User')).toEqual(['keepward'])
  expect(settings.get('PrivateUsers')).toEqual(['no'])
})

test('the exposures of both units are those that SECURITY.md publishes', () => {
  const published = /scores ([\d.]+) of 10 with `systemd-analyze security` \(the agent's ([\d.]+)\)/.exec(security)
  expect([exposureOf('keepward-host.service'), exposureOf('keepward-agent.service')]).toEqual(
    published?.slice(1).map(Number),
  )
})

test('SECURITY.md gives a reason for each item of the host’s unit that is open, and for each capability', () => {
  const reasons = security.slice(security.indexOf('Each open item'), security.indexOf('The units were analysed'))
  const open = openItemsOf('keepward-host.service').filter((name) => name !== 'CapabilityBoundingSet')
  expect(open.length).toBeGreaterThan(20)
  expect(open.filter((name) => !new RegExp(`\\b${name}\\b`).test(reasons))).toEqual([])
  expect(hostCapabilities.filter((name) => !new RegExp(`\\b${name}\\b`).test(reasons))).toEqual([])
})

/**
 * systemd.exec(5): each makes a mount namespace, or is inherited by the daemons that are started. Not so a credential: it lies in a
 * mount of the host's namespace, and no daemon is told where.
 */
const inherited =
  /^(?:Private|Protect|ReadOnly|ReadWrite|Inaccessible|ExecPaths|NoExec|Bind|Temporary|Root|Mount|LogNamespace|SystemCall|Restrict|NoNewPrivileges|Capability|Ambient|SecureBits|MemoryDeny|LockPersonality|DynamicUser|StateDirectory$|CacheDirectory|LogsDirectory|Memory|Tasks|CPU|IO|Delegate)/

test('nothing in the host’s unit makes a mount namespace or reaches the daemons that it starts, but the bound of capabilities', () => {
  const names = [...settingsOf('keepward-host.service').keys()]
  // This one has what the daemons need, too: the labs of services run with it.
  expect(names.filter((name) => inherited.test(name))).toEqual(['CapabilityBoundingSet'])
})

test('the host’s unit has the capabilities that the labs run it with', () => {
  const [given = ''] = settingsOf('keepward-host.service').get('CapabilityBoundingSet') ?? []
  expect(given.split(' ').sort()).toEqual([...hostCapabilities].sort())
})

test('what keepalived runs with outlives keepward-host, and keepalived too', () => {
  const settings = settingsOf('keepward-host.service')
  expect(settings.get('RuntimeDirectoryPreserve')).toEqual(['yes'])
  expect(settings.get('KillMode')).toEqual(['process'])
})

test('the agent’s run directory outlives it, for the teardown', () => {
  expect(settingsOf('keepward-agent.service').get('RuntimeDirectoryPreserve')).toEqual(['yes'])
})

test.each(['keepward-agent.service', 'keepward-host.service'])(
  '%s tells when it is ready, is watched, and is started again without end',
  (unit) => {
    const settings = settingsOf(unit)
    expect(settings.get('Type')).toEqual(['notify'])
    expect(Number(settings.get('WatchdogSec'))).toBeGreaterThan(0)
    expect(settings.get('Restart')).toEqual(['always'])
    // systemd gives up after five starts in ten seconds otherwise.
    expect(settings.get('StartLimitIntervalSec')).toEqual(['0'])
  },
)
