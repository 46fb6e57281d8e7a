/** A test that SECURITY.md names as the proof of a mechanism. */
export interface Proof {
  /** Of the repository, such as `test/root/race.test.ts`. */
  readonly file: string
  /** As reports show it, with its parameters. */
  readonly title: string
}

/** Those of the table "Weaknesses": each line of the last column names a file in backquotes, and then the test. */
export function proofsOf(security: string): readonly Proof[] {
  const rows = security.split('\n').filter((line) => /^\| CWE-\d/.test(line))
  return rows.flatMap((row) => {
    const cells = row.split('|')
    const proofs = (cells.at(-2) ?? '').split('<br>').map((line) => {
      const [, file = '', title = ''] = /^\s*`([^`]+\.test\.ts)` (.+?)\s*$/.exec(line) ?? []
      return { file, title }
    })
    if (cells.length !== 6 || proofs.some(({ file }) => file === ''))
      throw new Error(`SECURITY.md: wanted "| CWE-N | weakness | mechanism | \`FILE.test.ts\` TITLE |", not: ${row}`)
    return proofs
  })
}

/** The report that `vitest --reporter=json` writes, as far as it is read here. */
export interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

/** What `unproven` asks for: each test of these reports that ran and passed. */
export function passedIn(reports: readonly Report[]): readonly Proof[] {
  return reports.flatMap(({ testResults }) =>
    testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.filter(({ status }) => status === 'passed').map(({ title }) => ({ file: name, title })),
    ),
  )
}

/** The proofs of which no test of that name, in that file, is among those that passed. */
export function unproven(proofs: readonly Proof[], passed: readonly Proof[]): readonly Proof[] {
  return proofs.filter(
    ({ file, title }) => !passed.some((test) => test.title === title && test.file.endsWith(`/${file}`)),
  )
}
