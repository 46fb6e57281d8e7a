import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const entry = join(import.meta.dirname, '..', 'cmd', 'keepward.ts')

test.each([
  [['bogus'], 64, 'unknown command'],
  [['explain'], 64, "missing required argument 'router'"],
  [['status', '--bogus'], 64, "unknown option '--bogus'"],
  [['completion', 'tcsh'], 64, 'Allowed choices are bash, zsh, fish'],
  [['lab', 'bogus'], 64, 'unknown command'],
  [['lab', 'up', '--bogus'], 64, "unknown option '--bogus'"],
  [['lab', 'up', '--hosts', '10'], 64, '--hosts is 10, must be from 1 to 9'],
  [
    ['--socket', '/nowhere/control.sock', 'status'],
    3,
    'there is no such socket (is `keepward agent` running with this config?) [agent-unreachable]',
  ],
  [['--socket', '/nowhere/control.sock', 'events'], 4, 'there is no such socket'],
  [['--version'], 0, ''],
  [['lab', '--help'], 0, ''],
])('keepward %j ends with %i', (words, wanted, said) => {
  const { status, stderr } = spawnSync(process.execPath, [entry, ...words], { encoding: 'utf8', timeout: 15_000 })
  expect(stderr).toContain(said)
  expect(status).toBe(wanted)
})

test('a full disk below the output is a failure with its code, no stack and no word of health', () => {
  const full = openSync('/dev/full', 'w')
  const words = ['audit', '--help']
  const { status, stderr } = spawnSync(process.execPath, [entry, ...words], {
    encoding: 'utf8',
    timeout: 15_000,
    stdio: ['ignore', full, 'pipe'],
  })
  closeSync(full)
  expect([status, stderr]).toEqual([
    4,
    expect.stringMatching(/^keepward: Cannot write to standard output: .*ENOSPC.* \(.+\) \[.+\]\n$/),
  ])
})

test.each(['status', 'events', 'explain r1', 'plan', 'notify r1 primary --deadline 0'])(
  '%s takes a config by a path from here',
  (words) => {
    const home = mkdtempSync(join(tmpdir(), 'kwt-main-'))
    writeFileSync(
      join(home, 'agent.yaml'),
      'version: 1\npaths: { run: /nowhere/run, state: /nowhere/state }\nrouters: []\n',
    )
    const { stderr } = spawnSync(process.execPath, [entry, '-c', 'agent.yaml', ...words.split(' ')], {
      encoding: 'utf8',
      timeout: 15_000,
      cwd: home,
    })
    rmSync(home, { recursive: true })
    expect(stderr).toContain('/nowhere/')
  },
)
