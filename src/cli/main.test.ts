import { spawnSync } from 'node:child_process'
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
  [['--socket', '/nowhere/control.sock', 'status'], 3, 'there is no such socket'],
  [['--socket', '/nowhere/control.sock', 'events'], 4, 'there is no such socket'],
  [['--version'], 0, ''],
  [['lab', '--help'], 0, ''],
])('keepward %j ends with %i', (words, wanted, said) => {
  const { status, stderr } = spawnSync(process.execPath, [entry, ...words], { encoding: 'utf8', timeout: 15_000 })
  expect(stderr).toContain(said)
  expect(status).toBe(wanted)
})
