import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { hostCapabilities } from '../../src/lab/processes.ts'

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

test('the exposure of the host’s unit is the one that SECURITY.md publishes', () => {
  const published = /scores ([\d.]+) of 10/.exec(readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8'))
  expect(exposureOf('keepward-host.service')).toBe(Number(published?.[1]))
})

/** systemd.exec(5): each makes a mount namespace, or is inherited by the daemons that are started. */
const inherited =
  /^(?:Private|Protect|ReadOnly|ReadWrite|Inaccessible|ExecPaths|NoExec|Bind|Temporary|Root|Mount|SystemCall|Restrict|NoNewPrivileges|MemoryDeny|LockPersonality|DynamicUser|StateDirectory$|CacheDirectory|LogsDirectory|Memory|Tasks|CPU|IO|Delegate|LoadCredential|SetCredential)/

test('nothing in the host’s unit makes a mount namespace or reaches the daemons that it starts', () => {
  const names = [...settingsOf('keepward-host.service').keys()]
  expect(names.filter((name) => inherited.test(name))).toEqual([])
})

test('the host’s unit has the capabilities that the labs run it with', () => {
  const wanted = hostCapabilities.map((name) => `CAP_${name.toUpperCase()}`).join(' ')
  expect(settingsOf('keepward-host.service').get('CapabilityBoundingSet')).toEqual([wanted])
})

test('what keepalived runs with outlives keepward-host, and keepalived too', () => {
  const settings = settingsOf('keepward-host.service')
  expect(settings.get('RuntimeDirectoryPreserve')).toEqual(['yes'])
  expect(settings.get('KillMode')).toEqual(['process'])
})

test.each(['keepward-agent.service', 'keepward-host.service'])('%s tells when it is ready, and is watched', (unit) => {
  const settings = settingsOf(unit)
  expect(settings.get('Type')).toEqual(['notify'])
  expect(Number(settings.get('WatchdogSec'))).toBeGreaterThan(0)
  expect(settings.get('Restart')).toEqual(['always'])
})
