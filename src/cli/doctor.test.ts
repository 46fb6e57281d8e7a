import { expect, test } from 'vitest'
import { plainTerminal } from '../../test/support/terminal.ts'
import type { Finding } from '../doctor/check.ts'
import { doctorStatus, renderDoctor } from './doctor.ts'

plainTerminal()

const finding = (status: Finding['status'], name: string, found: string): Finding => ({
  name,
  status,
  found,
  wanted: 'more',
  fix: status === 'ok' ? undefined : `mend ${name}`,
})

test('renderDoctor() shows each check on a line, and below it what to do', () => {
  const findings = [
    finding('ok', 'veth', 'made one'),
    finding('warning', 'clock', 'not synchronised'),
    finding('failed', 'config', '2 problems:\n  line 3\n  line 4'),
    finding('unknown', 'journal disk', 'skipped: needs root'),
  ]
  expect(renderDoctor(findings, Date.UTC(2026, 10, 20, 12)).split('\n')).toEqual([
    'this host as of 2026-11-20 12:00:00.000',
    '           CHECK         FOUND',
    '● ok       veth          made one',
    '▲ warning  clock         not synchronised',
    '    wanted: more',
    '    fix: mend clock',
    '✗ failed   config        2 problems:; line 3; line 4',
    '    wanted: more',
    '    fix: mend config',
    '? unknown  journal disk  skipped: needs root',
    '    wanted: more',
    '    fix: mend journal disk',
    '',
    '1 ok, 1 warning, 1 failed, 1 unknown',
  ])
})

test.each([
  [['ok', 'ok'], 0],
  [['ok', 'warning'], 1],
  [['ok', 'unknown'], 1],
  [['warning', 'failed', 'unknown'], 2],
] as const)('doctorStatus() of %j is %i', (statuses, exit) => {
  expect(doctorStatus(statuses.map((status) => finding(status, 'x', 'y')))).toBe(exit)
})
