import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Role } from '../../src/router/role.ts'
import { TestAgent } from '../support/agent.ts'
import { claimOf } from '../support/claim.ts'
import { prefix, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'
import type { World } from '../support/world.ts'

const r1 = routerSpec()

/** What may happen to a router, its keepalived, its namespace and its agent; each does what it can, or nothing. */
const accidents = {
  'elected primary': ({ host }) => {
    host.elect(r1.id, 'primary')
  },
  'elected backup': ({ host }) => {
    host.elect(r1.id, 'backup')
  },
  'says fault': ({ host }) => {
    host.elect(r1.id, 'fault')
  },
  'keepalived dies': ({ host }) => {
    host.killKeepalived(r1.id)
  },
  'namespace deleted': ({ host }) => {
    host.deleteNamespace(r1.id)
  },
  'HA interface removed': ({ host }) => {
    void host.perform({ verb: 'remove-interface', router: r1.id, interface: 'ha0' })
  },
  'carrier lost': ({ host }) => {
    host.setLink(r1.id, 'ha0', { carrier: false })
  },
  'carrier back': ({ host }) => {
    host.setLink(r1.id, 'ha0', { carrier: true })
  },
  'marker removed by hand': ({ host }) => {
    host.removeAddress(r1.id, 'ha0', '169.254.0.7')
  },
  'marker added by hand': ({ host }) => {
    host.addAddress(r1.id, 'ha0', { ...prefix('169.254.0.7/24'), ours: false })
  },
} satisfies Record<string, (world: World) => void>

const claimAccidents = {
  'claim of primary': 'primary',
  'claim of backup': 'backup',
  'claim of fault': 'fault',
} as const
const agentAccidents = ['agent stopped and started', 'agent killed and started', 'a moment passes'] as const

type Accident = keyof typeof accidents | keyof typeof claimAccidents | (typeof agentAccidents)[number]

const isClaim = (accident: Accident): accident is keyof typeof claimAccidents => accident in claimAccidents

/** Design section 5, from the world alone. */
function trueRole(world: World): Role {
  const router = world.host.routers.get(r1.id)
  if (router === undefined) return 'unknown'
  const held = router.interfaces.get('ha0')?.addresses.some(({ address }) => address === '169.254.0.7')
  if (held === true) return 'primary'
  if (router.keepalived === undefined) return 'unknown'
  return router.keepalived.says === 'fault' ? 'fault' : 'backup'
}

async function happen(test: TestAgent, accident: Accident): Promise<TestAgent> {
  if (accident === 'agent stopped and started') return test.restart({ routers: [r1], intervalMs: 60 })
  if (accident === 'agent killed and started') return test.killAndStart({ routers: [r1], intervalMs: 60 })
  if (isClaim(accident)) {
    void test.agent.claims.take(claimOf(test, claimAccidents[accident]))
    return test
  }
  if (accident === 'a moment passes') await new Promise((resolve) => setTimeout(resolve, 15))
  else if (test.world.host.routers.has(r1.id)) accidents[accident](test.world)
  return test
}

test('any sequence of accidents ends in the role that the kernel shows, and the journal says the same', async () => {
  const any = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...(Object.keys(accidents) as Accident[])) },
      { weight: 2, arbitrary: fc.constantFrom<Accident>(...agentAccidents) },
      { weight: 2, arbitrary: fc.constantFrom<Accident>(...(Object.keys(claimAccidents) as Accident[])) },
    ),
    { minLength: 1, maxLength: 10 },
  )
  await fc.assert(
    fc.asyncProperty(any, async (sequence) => {
      let test = await TestAgent.start({ routers: [r1], intervalMs: 60 })
      try {
        await test.role('backup')
        for (const accident of sequence) test = await happen(test, accident)
        await until(
          `the role after ${sequence.join(', ')}`,
          async () => {
            const role = trueRole(test.world)
            const shown = test.router()
            if (shown.role !== role || !shown.recorded) return false
            return (await test.transitions()).at(-1)?.endsWith(`-> ${role}`)
          },
          8000,
        )
        const transitions = await test.transitions()
        const ends = transitions.map((one) => one.split(' -> '))
        // Each begins where the one before ended.
        expect(ends.slice(1).map(([from]) => from)).toEqual(ends.slice(0, -1).map(([, to]) => to))
        expect(await test.journal.verify()).toMatchObject({ ok: true })
        expect(test.defects).toEqual([])
      } finally {
        await test[Symbol.asyncDispose]()
      }
    }),
    { numRuns: 25, endOnFailure: true, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  )
})
