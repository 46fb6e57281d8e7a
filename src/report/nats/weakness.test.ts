import { expect, test } from 'vitest'
import { weaknessOf } from './weakness.ts'

const flaws = 'GHSA-9983-vrx2-fg9c, NATS-2026-16, NATS-2026-18'

test.each([
  ['2.9.10', true, `nats-server 2.9.10 is older than 2.14.0, with published flaws: CVE-2023-47090, ${flaws}`],
  ['2.10.27', true, `nats-server 2.10.27 is older than 2.14.0, with published flaws: ${flaws}`],
  ['2.12.7', true, 'nats-server 2.12.7 is older than 2.14.0'],
  ['2.14.0', true, undefined],
  ['2.15.1-dev', false, 'the way there is not encrypted, and nobody proves who the server is'],
  ['\u001b[2J', true, 'the server does not say its version'],
])('weaknessOf() of %s, encrypted: %s', (version, isEncrypted, expected) => {
  expect(weaknessOf(version, isEncrypted)).toBe(expected)
})
