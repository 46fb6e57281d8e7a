import { writeFileSync } from 'node:fs'
import { errorHints } from '../src/base/error-hint.ts'
import { errorCodes, errorMeanings } from '../src/base/error.ts'
import { connectionRefusals, refusing } from '../src/host/refusal.ts'
import { conditions } from '../src/router/condition.ts'
import { denials, limits } from '../src/statechange/audit.ts'
import { refusals } from '../src/statechange/refusal.ts'
import { runRows, startRows, type StartRow } from '../test/support/faults/rows.ts'

/** Write the documents that are made from code. */
export const generated: Readonly<Record<string, () => string>> = {
  'docs/errors.md': () =>
    page(
      'Errors',
      'Every failure has one of these codes, a sentence that names what is and what is wanted, and a hint: that of the place where it happened, or what stands here. What ran out or cannot be written (no space, read-only, I/O error, too many open files) is said before any other hint.',
      ['Code', 'Meaning', 'What to do'],
      errorCodes.map((code) => [`\`${code}\``, errorMeanings[code], sentence(errorHints[code])]),
    ),
  'docs/conditions.md': () =>
    page(
      'Conditions',
      'What `status` and `explain` name while it is so. Critical ones make `keepward status` exit with 2, warnings with 1.',
      ['Code', 'Severity', 'Meaning', 'What to do'],
      Object.entries(conditions).map(([code, { severity, title, hint }]) => [`\`${code}\``, severity, title, hint]),
    ),
  'docs/refusals.md': () =>
    page(
      'Refusals',
      'How the state-change server refuses a request: a status, and problem details (RFC 9457) with one of these codes.',
      ['Code', 'Status', 'Meaning'],
      Object.entries(refusals).map(([code, { status, title }]) => [`\`${code}\``, String(status), title]),
    ) + refusalsInJournal(),
  'docs/faults.md': () =>
    [
      page(
        'Faults',
        'What is shown when a system call fails, and what works on: tried with each error by `test/root/faults-start.test.ts` and `test/root/faults-run.test.ts`, which read the same rows. A root agent does all in one process; the others are an agent of its own user, and its root half. The first table is of the start, where the codes are those of errors.md.',
        ['Where', 'Fails', 'With', 'Process', 'Shown'],
        startRows.map((row) => [...faultCells(row), startShown(row.shown)]),
      ),
      'While it runs, with a router that is primary. All of it ends by itself once the calls succeed again, but for a config that was to be applied: that is applied again by hand.',
      '',
      table(
        ['Where', 'Fails', 'With', 'Process', 'Shown', 'What works'],
        runRows.map((row) => [
          ...faultCells(row),
          row.shown === 'nothing' ? 'nothing' : `condition \`${row.shown}\``,
          row.works,
        ]),
      ),
      '',
      'Real faults beside those: a state directory on a full or read-only file system, a limit of a few descriptors at the start and of 8 while it runs (nobody is answered, no role changes, and all goes on once there are more), a missing capability. A wall clock that is set forward by years and back is shown as `clock-stepped` for ten minutes; roles, ages, deadlines and retention go by the monotonic clock.',
      '',
    ].join('\n'),
}

function refusalsInJournal(): string {
  const rows = (decision: string, prefix: string, suffix: string, meanings: Readonly<Record<string, string>>) =>
    Object.entries(meanings).map(([code, meaning]) => [`\`${prefix}${code}${suffix}\``, `\`${decision}\``, meaning])
  const operations = [...refusing].map((code) => `\`${code}\``).join(', ')
  return [
    '',
    '## In the journal',
    '',
    'A record of kind `refusal` and its log line have one of the codes above with the decision `refused`, or one of these. Many of a kind are one record in ten seconds, with their number.',
    '',
    table(
      ['Reason', 'Decision', 'Meaning'],
      [
        ...rows('limited', '', '-limit', limits),
        ...rows('denied', 'control-', '', denials),
        [
          'a sentence',
          '`socket-made-anew`',
          'The state-change socket was removed, replaced or changed; the agent has made it anew.',
        ],
        ...rows('host-refused', '', '', connectionRefusals),
        ['`many`', 'any', 'There were more kinds of refusals at once than are told apart; these are the rest.'],
      ],
    ),
    '',
    `What keepward-host refuses of a request of its form is \`host-refused\` with the code of the error ([errors.md](errors.md)): ${operations}, and where a config is asked for each code that begins with \`config-\`. In its own log the message is \`root half refused\`.`,
    '',
  ].join('\n')
}

function faultCells({ where, call, on, errnos, who }: Omit<StartRow, 'shown'>): string[] {
  // Where there is no path, the call says it.
  const fails = on.includes('/') || on.includes('.') || on.includes('-') ? `${call} \`${on}\`` : call
  return [where, fails, errnos.join(', '), who.join(', ')]
}

function startShown(shown: StartRow['shown']): string {
  if (shown === 'nothing') return 'nothing, it starts'
  return 'code' in shown ? `exit status 4, \`${shown.code}\`` : `it starts; condition \`${shown.condition}\``
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

function page(title: string, intro: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = `${intro} Made from the code by \`script/node script/write-docs.ts\`.`
  return [`# ${title}`, '', made, '', table(columns, rows), ''].join('\n')
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(generated)) writeFileSync(new URL(`../${file}`, import.meta.url), text())
}
