import { writeFileSync } from 'node:fs'
import { errorHints } from '../src/base/error-hint.ts'
import { errorCodes, errorMeanings } from '../src/base/error.ts'
import { conditions } from '../src/router/condition.ts'
import { refusals } from '../src/statechange/refusal.ts'

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
    ),
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`

function page(title: string, intro: string, columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const table = [line(columns), line(columns.map(() => '---')), ...rows.map(line)]
  return [
    `# ${title}`,
    '',
    `${intro} Made from the code by \`script/node script/write-docs.ts\`.`,
    '',
    ...table,
    '',
  ].join('\n')
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(generated)) writeFileSync(new URL(`../${file}`, import.meta.url), text())
}
