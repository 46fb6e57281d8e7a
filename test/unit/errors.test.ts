import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorHints } from '../../src/base/error-hint.ts'
import { errorCodes, errorMeanings } from '../../src/base/error.ts'
import { root, sources } from './code-map.ts'

const throwers = sources('src').filter((file) => !file.endsWith('.test.ts') && !file.startsWith('src/base/error'))
const texts = throwers.map((file) => readFileSync(join(root, file), 'utf8'))

/** The compiler lets nobody throw a code that is not declared; that each is thrown is looked for here. */
test('every error code of docs/errors.md is one that the sources throw', () => {
  expect(errorCodes.filter((code) => !texts.some((text) => text.includes(`'${code}'`)))).toEqual([])
})

test('every error code has a meaning that is a sentence, and something to do', () => {
  for (const code of errorCodes) {
    expect(errorMeanings[code], code).toMatch(/^[A-Za-z].{10,}\.$/)
    expect(errorHints[code], code).toMatch(/^[^.].{10,}[^.]$/)
  }
})
