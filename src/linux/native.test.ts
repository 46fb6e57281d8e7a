import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { native } from './native.ts'

/** A list whose first word is another each time it is read. */
function changing(words: readonly string[], rest: readonly string[]): string[] {
  const left = [...words]
  return Object.defineProperty(['', ...rest], 0, { get: () => left.shift() })
}

describe('native().netlinkOpen()', () => {
  test('opens nothing when a getter among the groups throws', () => {
    const groups = Object.defineProperty([1, 1], 1, {
      get: () => {
        throw new Error('theirs')
      },
    })
    const before = readdirSync('/proc/self/fd').length
    expect(() => native().netlinkOpen(0, groups, false, 65_536)).toThrow('theirs')
    expect(readdirSync('/proc/self/fd')).toHaveLength(before)
  })
})

describe('native().spawn()', () => {
  test.each([NaN, 2, 3.5, -2, Infinity])('refuses %d as a descriptor', (fd) => {
    expect(() => native().spawn(['/bin/true'], ['true'], [], '/', [-1, fd, -1])).toThrow('stdio must be')
  })

  test('refuses words that grow while they are read', () => {
    const argv = changing(['', 'x'.repeat(1000)], ['y', 'z'])
    expect(() => native().spawn(['/bin/true'], argv, [], '/', [-1, -1, -1])).toThrow('argv must be strings')
  })
})
