import { expect, test } from 'vitest'
import { watchClock } from '../../src/agent/clock-watch.ts'
import { TestAgent } from '../support/agent.ts'
import { routerSpec } from '../support/router.ts'

test.each([
  { what: 'forward by a day', byMs: 86_400_000 },
  { what: 'back by a day', byMs: -86_400_000 },
])('a wall clock that is set $what is shown, and changes no age, no deadline and no duration', async ({ byMs }) => {
  await using it = await TestAgent.start({ routers: [routerSpec()] })
  const stop = watchClock({
    clock: it.world.clock,
    onStep: (text) => {
      it.agent.noteTrouble('clock', text)
    },
  })
  try {
    await it.role('backup')
    it.world.setWall(byMs)
    expect(await it.condition('clock-stepped')).toContain('86400.0 s')
    const { stale, ageMs } = it.router()
    expect([stale, ageMs >= 0, ageMs < 10_000]).toEqual([false, true, true])
    expect(it.router().conditions.filter(({ severity }) => severity !== 'info')).toEqual([])
    it.world.host.elect(routerSpec().id, 'primary')
    await it.role('primary')
    const [last] = (await it.records({ router: 'r1' })).filter(({ body }) => body['to'] === 'primary')
    expect(last?.late).toBe(false)
    expect(last?.body['lastedMs']).toBeLessThan(10_000)
    expect(last?.body['lastedMs']).toBeGreaterThanOrEqual(0)
    expect(await it.journal.verify()).toMatchObject({ ok: true })
  } finally {
    stop()
  }
})
