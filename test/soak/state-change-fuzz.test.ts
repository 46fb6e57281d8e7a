import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { expectRight, fuzzSeed, fuzzStateChanges } from '../support/state-change-fuzz.ts'

const seed = fuzzSeed()
const requests = Number(process.env['KEEPWARD_TEST_FUZZ'] ?? 1_000_000)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test(`${requests} spoilt requests of another user (KEEPWARD_TEST_SEED=${seed}): none taken without right, memory flat`, async () => {
  const used: { heap: number; resident: number }[] = []
  const sample = () => {
    collect()
    const { heapUsed, rss } = process.memoryUsage()
    used.push({ heap: heapUsed / 2 ** 20, resident: rss / 2 ** 20 })
  }
  let looks = 0
  // Looks come five times a second.
  const seen = await fuzzStateChanges(seed, requests, () => {
    if (looks++ % 50 === 0) sample()
  })
  sample()
  expectRight(seen)
  expect(seen.requests).toBeGreaterThanOrEqual(requests)
  const warm = used[Math.ceil(used.length / 5)]
  const last = used.at(-1)
  console.log(JSON.stringify({ ...seen, warm, last }))
  if (warm === undefined || last === undefined) throw new Error('memory was looked at')
  expect(last.heap - warm.heap).toBeLessThan(8)
  expect(last.resident - warm.resident).toBeLessThan(64)
})
