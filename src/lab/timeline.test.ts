import { expect, test } from 'vitest'
import { renderTimeline } from './timeline.ts'

test('renderTimeline() orders moments, counts from the zero and aligns', () => {
  const moments = [
    { atMs: 5900.25, where: 'client', what: 'answered again' },
    { atMs: 2000, where: 'h1', what: 'killed' },
    { atMs: 1990, where: 'client', what: 'last answer' },
    { atMs: 5612.04, where: 'h2', what: 'r1 primary' },
  ]
  expect(renderTimeline(moments, 2000).split('\n')).toEqual([
    '    -10.0 ms  client  last answer',
    '     +0.0 ms  h1      killed',
    '  +3612.0 ms  h2      r1 primary',
    '  +3900.3 ms  client  answered again',
  ])
})

test('renderTimeline() is empty when nothing happened', () => {
  expect(renderTimeline([], 0)).toBe('')
})
