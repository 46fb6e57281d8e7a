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

/** The test files of the table of mechanisms, each once: its last column names one or several in backquotes. */
export function provingFiles(security: string): readonly string[] {
  const lines = security.split('\n')
  const head = lines.findIndex((line) => line.startsWith('| Mechanism '))
  const end = lines.findIndex((line, at) => at > head && !line.startsWith('|'))
  const files = lines.slice(head + 2, end).flatMap((row) => {
    const named = [...(row.split('|').at(-2) ?? '').matchAll(/`([^`]+\.test\.ts)`/g)].map(([, file = '']) => file)
    if (named.length === 0)
      throw new Error(`SECURITY.md: wanted "| mechanism | \`FILE\` | \`FILE.test.ts\` |", not: ${row}`)
    return named
  })
  return [...new Set(files)]
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

/** Those of the files of which no test passed, or one failed. */
export function unprovenFiles(files: readonly string[], reports: readonly Report[]): readonly string[] {
  const results = reports.flatMap(({ testResults }) => testResults)
  return files.filter((file) => {
    const found = results.filter(({ name }) => name.endsWith(`/${file}`)).flatMap((one) => one.assertionResults)
    return !found.some(({ status }) => status === 'passed') || found.some(({ status }) => status === 'failed')
  })
}
