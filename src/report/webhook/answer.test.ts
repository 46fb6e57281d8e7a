import { expect, test } from 'vitest'
import { verdictOn } from './answer.ts'

const nowMs = Date.parse('2026-11-22T04:00:00Z')
const inShort = (status: number, retryAfter?: string) => {
  const verdict = verdictOn(status, retryAfter, nowMs)
  if (typeof verdict === 'string') return verdict
  return verdict.kind === 'refused' ? 'refused' : `${verdict.kind} ${verdict.suspect} ${verdict.pauseMs ?? '-'}`
}

test.each([
  [200, 'delivered'],
  [202, 'delivered'],
  [204, 'delivered'],
  [301, 'not-ready settings -'],
  [302, 'not-ready settings -'],
  [304, 'not-ready settings -'],
  [308, 'not-ready settings -'],
  [400, 'refused'],
  [410, 'refused'],
  [413, 'refused'],
  [415, 'refused'],
  [422, 'refused'],
  [401, 'not-ready settings -'],
  [404, 'not-ready settings -'],
  [405, 'not-ready settings -'],
  [403, 'not-ready report -'],
  [409, 'not-ready report -'],
  [408, 'unreachable report -'],
  [425, 'unreachable report -'],
  [429, 'unreachable report -'],
  [500, 'unreachable report -'],
  [503, 'unreachable report -'],
  [0, 'unreachable report -'],
  [199, 'unreachable report -'],
  [999, 'unreachable report -'],
])('verdictOn() of status %i is %s', (status, verdict) => {
  expect(inShort(status)).toBe(verdict)
})

test.each([
  ['5', 5000],
  ['60', 60_000],
  ['86400', 60_000],
  ['Sun, 22 Nov 2026 04:00:20 GMT', 20_000],
  ['Sun, 22 Nov 2026 05:00:00 GMT', 60_000],
  ['Sun, 22 Nov 2026 03:00:00 GMT', '-'],
  ['0', '-'],
  ['-5', '-'],
  ['soon', '-'],
  ['', '-'],
])('verdictOn() takes Retry-After %j for %s milliseconds', (retryAfter, pauseMs) => {
  expect(inShort(503, retryAfter)).toBe(`unreachable report ${pauseMs}`)
})
