import { describe, expect, test, vi } from 'vitest'
import { plainTerminal } from '../../test/support/terminal.ts'
import { conditionText, healthText, paint, roleText, table, timeText } from './table.ts'

plainTerminal()

function withColour(): void {
  vi.stubEnv('NO_COLOR', undefined)
  vi.stubEnv('FORCE_COLOR', '1')
}

test('timeText() is local time with milliseconds', () => {
  expect(timeText(Date.UTC(2026, 10, 20, 10, 4, 5, 7))).toBe('2026-11-20 10:04:05.007')
  vi.stubEnv('TZ', 'Asia/Kolkata')
  expect(timeText(Date.UTC(2026, 10, 20, 20, 4, 5, 7))).toBe('2026-11-21 01:34:05.007')
})

describe('table()', () => {
  test('aligns columns under their titles and leaves no space at the end', () => {
    const rows = [
      ['r1', 'primary', ''],
      ['router-2', 'backup', 'x'],
    ]
    expect(table(['ID', 'ROLE', 'MORE'], rows)).toBe(
      ['ID        ROLE     MORE', 'r1        primary', 'router-2  backup   x'].join('\n'),
    )
  })

  test('counts what is seen when cells are coloured', () => {
    withColour()
    const text = table(
      ['ID', 'B'],
      [
        [paint('green', 'ok'), 'x'],
        ['long', 'y'],
      ],
    )
    expect(text.split('\n')).toEqual([
      '\u001b[1mID\u001b[22m    \u001b[1mB\u001b[22m',
      '\u001b[32mok\u001b[39m    x',
      'long  y',
    ])
  })

  test('is its titles when there is nothing to list', () => {
    expect(table(['A', 'B'], [])).toBe('A  B')
  })
})

describe('colour', () => {
  test('is left out with NO_COLOR, and every word and symbol stays', () => {
    expect((['primary', 'backup', 'fault', 'unknown'] as const).map((role) => roleText(role, false))).toEqual([
      '● primary',
      '○ backup',
      '✗ fault',
      '? unknown',
    ])
    expect(roleText('primary', true)).toBe('? primary (stale)')
    expect((['healthy', 'degraded', 'critical', 'unknown'] as const).map(healthText)).toEqual([
      '● healthy',
      '▲ degraded',
      '✗ critical',
      '? unknown',
    ])
    expect(conditionText({ code: 'kernel-disagrees', severity: 'critical' })).toBe('✗ kernel-disagrees')
    expect(conditionText({ code: 'config-refused', severity: 'warning' })).toBe('▲ config-refused')
    expect(conditionText({ code: 'keepalived-tied', severity: 'info' })).toBe('· keepalived-tied')
  })

  test('is there with FORCE_COLOR', () => {
    withColour()
    expect(roleText('fault', false)).toBe('\u001b[31m✗ fault\u001b[39m')
    expect(healthText('healthy')).toBe('\u001b[32m● healthy\u001b[39m')
  })
})
