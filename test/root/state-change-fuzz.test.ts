import { test } from 'vitest'
import { expectRight, fuzzSeed, fuzzStateChanges } from '../support/state-change-fuzz.ts'

const seed = fuzzSeed()

test(`20,000 spoilt requests of another user (KEEPWARD_TEST_SEED=${seed})`, async () => {
  const seen = await fuzzStateChanges(seed, 20_000)
  expectRight(seen)
})
