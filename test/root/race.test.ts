import { expect, test } from 'vitest'
import { race } from '../support/race.ts'

const soak = process.env['KEEPWARD_TEST_RACE']
const rounds = Number(soak ?? 20_000)
const limitMs = soak === undefined ? 6000 : Infinity

test.each(['inside', 'journal', 'above', 'stranger'] as const)(
  'who swaps files for links as fast as it can (%s) makes us change and tell nothing outside our directory',
  async (attacker) => {
    // A journal takes as long as a hundred files.
    const found = await race({ rounds: attacker === 'journal' ? rounds / 100 : rounds, limitMs, attacker })
    console.log(JSON.stringify(found))
    expect(found.breaches).toEqual([])
    const outcomes = Object.entries(found.outcomes)
    const count = (form: RegExp) => outcomes.reduce((sum, [name, times]) => sum + (form.test(name) ? times : 0), 0)
    // It was both: work that went through, each kind of it, and an attack that was met.
    expect(count(/: done$/)).toBeGreaterThan(found.rounds / 10)
    for (const step of new Set(outcomes.map(([name]) => name.replace(/:.*/, ''))))
      expect(found.outcomes, step).toHaveProperty([`${step}: done`])
    expect(count(/: (?:directory|file|journal)-/)).toBeGreaterThan(0)
  },
)
