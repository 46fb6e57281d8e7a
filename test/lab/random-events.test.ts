import { test } from 'vitest'
import { randomEvents } from '../support/random-events.ts'

test('100 random events: services run where the role is and not elsewhere, one that hangs holds up no other, nothing is left', async () => {
  await randomEvents('random', { events: 100, seed: 1 })
})
