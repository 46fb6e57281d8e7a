import { test } from 'vitest'
import { randomEvents } from '../support/random-events.ts'

test('1,000 random events: services run where the role is and not elsewhere, one that hangs holds up no other, nothing is left', async () => {
  const seed = Number(process.env['KEEPWARD_SEED'] ?? Date.now() % 100_000)
  await randomEvents('random', { events: 1000, seed })
})
