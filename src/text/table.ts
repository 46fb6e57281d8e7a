import { styleText } from 'node:util'
import type { Severity } from '../router/condition.ts'
import type { Role } from '../router/role.ts'

type Style = Parameters<typeof styleText>[0]

/** Columns of text under their titles, two spaces apart; widths count what is seen, not escape codes. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [titles.map((title) => paint('bold', title)), ...rows]
  const widths = titles.map((_, column) => Math.max(...all.map((row) => seenLength(row[column] ?? ''))))
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : pad(cell, widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Colour where the terminal wants it (NO_COLOR, FORCE_COLOR); the text always says the same without. */
export const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout })

/** How a state looks: its colour, and a symbol for where there is none. */
const looks = {
  good: ['green', '●'],
  ready: ['cyan', '○'],
  warning: ['yellow', '▲'],
  bad: ['red', '✗'],
  unknown: ['yellow', '?'],
  unseen: ['gray', '?'],
  note: ['gray', '·'],
} as const satisfies Record<string, readonly [Style, string]>

export type Look = keyof typeof looks

/** A state as symbol, word and colour. */
export function stateText(look: Look, word: string): string {
  const [style, symbol] = looks[look]
  return paint(style, `${symbol} ${word}`)
}

const roleLooks: Readonly<Record<Role, Look>> = { primary: 'good', backup: 'ready', fault: 'bad', unknown: 'unknown' }

export function roleText(role: Role, stale: boolean): string {
  return stale ? stateText('unseen', `${role} (stale)`) : stateText(roleLooks[role], role)
}

/** A role that somebody claims and nobody sees. */
export function claimText(role: Role, stale: boolean): string {
  return stateText('unseen', stale ? `${role} (stale)` : role)
}

const healthLooks = { healthy: 'good', degraded: 'warning', critical: 'bad', unknown: 'unknown' } as const

/** The worst of what is raised, in one word. */
export function healthText(health: keyof typeof healthLooks): string {
  return stateText(healthLooks[health], health)
}

export function conditionText({ code, severity }: { readonly code: string; readonly severity: Severity }): string {
  return stateText(severityLooks[severity], code)
}

const severityLooks: Readonly<Record<Severity, Look>> = { critical: 'bad', warning: 'warning', info: 'note' }

/** Text of several lines as one, for a table or a list with a line for each thing. */
export const oneLine = (text: string): string => text.trim().replace(/\s*[\r\n]+\s*/g, '; ')

/** What is raised: where and what, each further line of it indented, and what to do. */
export function conditionLines(
  condition: { readonly code: string; readonly severity: Severity; readonly text: string; readonly hint: string },
  where?: string,
): string {
  const text = condition.text.trim().replace(/\s*[\r\n]+\s*/g, '\n    ')
  return `${conditionText(condition)} ${where === undefined ? '' : `${where}: `}${text}\n    ${condition.hint}`
}

/** Local time with milliseconds: `2026-11-20 10:04:05.123`. */
export function timeText(wallMs: number): string {
  const at = new Date(wallMs)
  const date = `${String(at.getFullYear())}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

const two = (value: number): string => String(value).padStart(2, '0')

// The escape codes that styleText writes.
const escapes = /\u001b\[[0-9;]*m/g
const seenLength = (text: string): number => text.replace(escapes, '').length
const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - seenLength(text)))
