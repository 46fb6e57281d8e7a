import { expect, test } from 'vitest'
import { nearest } from './nearest.ts'

test.each([
  ['vird', ['id', 'vrid', 'via'], 'vrid'],
  ['virtualAdresses', ['virtualRoutes', 'virtualAddresses'], 'virtualAddresses'],
  ['virtual_addresses', ['virtualRoutes', 'virtualAddresses'], 'virtualAddresses'],
  ['Interface', ['interface', 'interfaces'], 'interface'],
  ['colour', ['id', 'vrid', 'track'], undefined],
  ['x', [], undefined],
  ['a'.repeat(41), ['a'.repeat(40)], undefined],
])('nearest(%s) among %j is %s', (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected)
})
