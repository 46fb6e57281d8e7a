import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { passedIn, proofsOf, provingFiles, unproven, unprovenFiles } from '../../script/proofs.ts'

const root = new URL('../../', import.meta.url)
const security = readFileSync(new URL('SECURITY.md', root), 'utf8')

/** The weaknesses that reviews found, by the issues that close them. */
const reviewed = [
  20, 59, 93, 117, 200, 250, 259, 269, 276, 306, 311, 312, 362, 367, 400, 532, 732, 754, 755, 770, 778, 798, 862,
]

describe('SECURITY.md', () => {
  test('has a row for each weakness that reviews found', () => {
    const rows = security.split('\n').filter((line) => line.startsWith('| CWE-'))
    const named = rows.flatMap((row) =>
      [...(row.split('|')[1] ?? '').matchAll(/\d+/g)].map(([number]) => Number(number)),
    )
    expect(reviewed.filter((number) => !named.includes(number))).toEqual([])
  })

  test('names tests in files that are there', () => {
    const proofs = proofsOf(security)
    expect(proofs.length).toBeGreaterThan(20)
    expect(proofs.filter(({ file }) => !existsSync(new URL(file, root)))).toEqual([])
  })
})

describe('proving files', () => {
  const head = '| Mechanism | Where | Proven by |\n| --- | --- | --- |'
  const table = `${head}\n| a | \`a.ts\` | \`a.test.ts\` |\n| b | \`b.ts\` | \`b.test.ts\`, \`a.test.ts\` |\n\n| CWE-1 | \`c.test.ts\` |`

  test('are those of the last column of the first table, and all are there', () => {
    expect(provingFiles(table)).toEqual(['a.test.ts', 'b.test.ts'])
    const files = provingFiles(security)
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter((file) => !existsSync(new URL(file, root)))).toEqual([])
  })

  test('are wanted in each row', () => {
    expect(() => provingFiles(`${head}\n| a | \`a.ts\` | it is so |\n`)).toThrow('SECURITY.md: wanted')
  })

  test('hold when a test in them has passed and none has failed', () => {
    const of = (name: string, ...statuses: string[]) => ({
      testResults: [{ name: `/here/${name}`, assertionResults: statuses.map((status) => ({ title: 'one', status })) }],
    })
    const reports = [
      of('a.test.ts', 'passed', 'skipped'),
      of('b.test.ts', 'passed', 'failed'),
      of('c.test.ts', 'skipped'),
    ]
    expect(unprovenFiles(['a.test.ts', 'b.test.ts', 'c.test.ts', 'd.test.ts'], reports)).toEqual([
      'b.test.ts',
      'c.test.ts',
      'd.test.ts',
    ])
  })
})

describe('proofs', () => {
  const row = '| CWE-59 | links | none is followed | `a.test.ts` one<br>`b.test.ts` two, with `code` |'

  test('are read from the last column', () => {
    expect(proofsOf(`# Security\n| --- |\n${row}\n`)).toEqual([
      { file: 'a.test.ts', title: 'one' },
      { file: 'b.test.ts', title: 'two, with `code`' },
    ])
  })

  test.each(['| CWE-1 | a | b | |', '| CWE-1 | a | b | a.test.ts one |', '| CWE-1 | a | b | c | `a.test.ts` one |'])(
    'are wanted in a row like %s',
    (broken) => {
      expect(() => proofsOf(broken)).toThrow('SECURITY.md: wanted')
    },
  )

  test('hold when a test of that name in that file has passed', () => {
    const report = (name: string, title: string, status: string) => ({
      testResults: [{ name: `/somewhere/${name}`, assertionResults: [{ title, status }] }],
    })
    const passed = passedIn([
      report('a.test.ts', 'one', 'failed'),
      report('b.test.ts', 'one', 'passed'),
      report('b.test.ts', 'two, with `code`', 'passed'),
    ])
    expect(unproven(proofsOf(row), passed)).toEqual([{ file: 'a.test.ts', title: 'one' }])
  })
})
