import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { at, routerSpec } from '../../test/support/router.ts'
import {
  absorbHeard,
  absorbHookEnd,
  absorbNews,
  judgeHooks,
  keyOf,
  nextHook,
  noHooks,
  reconsiderHooks,
  type Hooks,
  type News,
} from './hook.ts'
import type { Role } from './role.ts'
import { newRouter, type Router } from './router.ts'
import type { Hook } from './spec.ts'
import { noFlaps, type Flaps } from './flap.ts'

const hook = (program: string, change: Partial<Hook> = {}): Hook => ({
  program,
  args: [],
  user: 'hook',
  on: ['primary', 'backup', 'fault'],
  timeoutMs: 10_000,
  namespace: 'host',
  ...change,
})
const news = (sequence: number, role: Role = sequence % 2 === 0 ? 'backup' : 'primary'): News => ({
  role,
  previous: 'unknown',
  sequence,
  atMs: sequence,
  cause: 'kernel',
})
const seen = absorbHeard(noHooks, [])
const failure = { ok: false, code: 'hook-failed', text: 'no' } as const

function routerWith(hooks: Hooks, declared: readonly Hook[], flaps: Flaps = noFlaps): Router {
  const spec = routerSpec({ hooks: declared })
  const cause = { kind: 'kernel', text: '' } as const
  const role = { kind: 'held', held: { role: 'backup', since: at(0), turned: at(0), cause } } as const
  return { ...newRouter(spec.id, undefined, at(0)), wanted: spec, role, hooks, flaps }
}

/** As the core does it: what is to be run is under way. */
function asked(hooks: Hooks, declared: readonly Hook[], ms = 0, flaps: Flaps = noFlaps) {
  const { hooks: left, run, waitUntilMonoMs } = nextHook(routerWith(hooks, declared, flaps), at(ms))
  const next = run === undefined ? left : { ...left, underWay: run, runs: run.number }
  const waitsMs = waitUntilMonoMs === undefined ? undefined : waitUntilMonoMs - at(0).monoMs
  return { hooks: next, ran: run && `${declared[run.hook]?.program ?? ''} ${String(run.news.sequence)}`, waitsMs }
}

/** All that is run, each ending as `end` says, until nothing is. */
function drain(hooks: Hooks, declared: readonly Hook[], end: (ran: string) => boolean = () => true) {
  const all: string[] = []
  for (let step = asked(hooks, declared); step.ran !== undefined; step = asked(hooks, declared)) {
    all.push(step.ran)
    hooks = absorbHookEnd(step.hooks, step.hooks.runs, end(step.ran) ? { ok: true } : failure, at(0))
  }
  return { all, hooks: asked(hooks, declared).hooks }
}

const anyone = [hook('/a'), hook('/b'), hook('/a', { args: ['x'] })]
const add = (hooks: Hooks, one: News, declared = anyone): Hooks => absorbNews(hooks, one, declared, at(0))
const told = (...all: readonly News[]): Hooks => all.reduce((hooks, one) => add(hooks, one), seen)

describe('nextHook()', () => {
  test('each hook hears each news, in the order of both, one at a time', () => {
    const declared = [hook('/a'), hook('/b')]
    const first = asked(told(news(1), news(2)), declared)
    expect(first.ran).toBe('/a 1')
    expect(asked(first.hooks, declared).ran).toBeUndefined()
    expect(drain(told(news(1), news(2)), declared).all).toEqual(['/a 1', '/b 1', '/a 2', '/b 2'])
  })

  test('a hook hears of its roles alone, and none of a role that is not known', () => {
    const declared = [hook('/a', { on: ['backup'] }), hook('/b')]
    expect(drain(told(news(1), news(2), news(3, 'unknown')), declared).all).toEqual(['/b 1', '/a 2', '/b 2'])
  })

  test('nothing is run before somebody has looked who heard what; who heard it does not hear it again', () => {
    const declared = [hook('/a'), hook('/b')]
    const waiting = add(noHooks, news(5))
    expect(asked(waiting, declared).ran).toBeUndefined()
    const looked = absorbHeard(waiting, [{ hook: keyOf(hook('/a')), role: 'primary', sequence: 5 }])
    expect(drain(looked, declared).all).toEqual(['/b 5'])
    // The same number in another journal is another role at least.
    const other = absorbHeard(waiting, [{ hook: keyOf(hook('/a')), role: 'backup', sequence: 5 }])
    expect(drain(other, declared).all).toEqual(['/a 5', '/b 5'])
  })

  test('nothing that was written down before is told as long as the role is not known', () => {
    const router = {
      ...routerWith(told(news(1)), [hook('/a')]),
      role: newRouter(routerSpec({}).id, undefined, at(0)).role,
    }
    expect(nextHook(router, at(0)).run).toBeUndefined()
  })

  test('a look that is older than what was seen since changes nothing', () => {
    const { hooks } = drain(told(news(1)), [hook('/a')])
    expect(absorbHeard(hooks, [])).toBe(hooks)
  })

  test('what is told again is heard once; a hook that is new hears it', () => {
    const { hooks } = drain(told(news(1)), [hook('/a')])
    expect(drain(add(hooks, news(1)), [hook('/a')]).all).toEqual([])
    expect(drain(add(hooks, news(1)), [hook('/a'), hook('/a', { args: ['x'] })]).all).toEqual(['/a 1'])
  })

  test('one that fails stands in nobody’s way, and is run again for the newest news alone, five times, ever more slowly', () => {
    const declared = [hook('/a'), hook('/b')]
    const { all } = drain(told(news(1), news(2)), declared, (ran) => !ran.startsWith('/a'))
    expect(all).toEqual(['/a 1', '/b 1', '/a 2', '/b 2'])
    let hooks = told(news(1))
    const moments: number[] = []
    for (let ms = 0; ms < 60_000; ms += 100) {
      const step = asked(hooks, [hook('/a')], ms)
      if (step.ran !== undefined) {
        moments.push(ms)
        hooks = absorbHookEnd(step.hooks, step.hooks.runs, failure, at(ms))
      } else hooks = step.hooks
    }
    expect(moments).toEqual([0, 1000, 3000, 7000, 15_000])
    expect(judgeHooks(routerWith(hooks, [hook('/a')]), at(0)).failed).toBe('/a on primary: no (5 times in a row)')
    // A new wish: the condition goes, and it is tried again.
    const again = reconsiderHooks(hooks)
    expect(judgeHooks(routerWith(again, [hook('/a')]), at(0)).failed).toBeUndefined()
    expect(asked(add(again, news(1)), [hook('/a')]).ran).toBe('/a 1')
  })

  test.each([
    'host-unreachable',
    'resources-exhausted',
    'command-failed',
    'command-missing',
    'command-timeout',
    'namespace-missing',
    'namespace-failed',
  ])('one that could not be run for %s is tried for as long as it takes, each 30 s at least', (code) => {
    let hooks = told(news(1))
    const moments: number[] = []
    for (let ms = 0; ms < 120_000; ms += 1000) {
      const step = asked(hooks, [hook('/a')], ms)
      if (step.ran === undefined) continue
      moments.push(ms)
      const outcome = { ok: false, code, text: 'no' } as const
      hooks = absorbHookEnd(step.hooks, step.hooks.runs, outcome, at(ms))
    }
    expect(moments).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 61_000, 91_000])
  })

  test('news that comes meanwhile takes the place of one that failed', () => {
    const step = asked(told(news(1)), [hook('/a')])
    const failed = add(absorbHookEnd(step.hooks, 1, failure, at(0)), news(2))
    expect(asked(failed, [hook('/a')]).ran).toBe('/a 2')
  })

  test('an end of another run changes nothing', () => {
    const { hooks } = asked(told(news(1)), [hook('/a')])
    expect(absorbHookEnd(hooks, 7, { ok: true }, at(0))).toBe(hooks)
  })

  test('while the role flaps all but the newest is given up, and that is told when it is over', () => {
    const flaps: Flaps = {
      flapping: true,
      held: { sinceMonoMs: at(0).monoMs, changedMonoMs: at(0).monoMs },
      changes: [{ atMonoMs: at(0).monoMs, why: '' }],
    }
    const held = asked(told(news(1), news(2), news(3)), [hook('/a')], 4999, flaps)
    expect(held).toMatchObject({ ran: undefined, waitsMs: 5000 })
    expect(held.hooks).toMatchObject({ coalesced: 2, waiting: [{ news: { sequence: 3 } }] })
    expect(asked(held.hooks, [hook('/a')], 5000, flaps).ran).toBe('/a 3')
  })

  test('while the role flaps each hook has its own newest, and hears that once', () => {
    const held = { sinceMonoMs: at(0).monoMs, changedMonoMs: at(0).monoMs }
    const flaps: Flaps = { flapping: true, held, changes: [] }
    const declared = [hook('/a', { on: ['primary', 'backup'] }), hook('/b'), hook('/c', { on: ['primary'] })]
    const all = [news(1, 'primary'), news(2, 'backup'), news(3, 'fault'), news(4, 'unknown')]
    const { hooks } = asked(
      all.reduce((so, one) => add(so, one, declared), seen),
      declared,
      4999,
      flaps,
    )
    expect(drain(hooks, declared).all).toEqual(['/c 1', '/a 2', '/b 3'])
    expect(hooks.coalesced).toBe(0)
  })

  test('one that failed is run again although there is newer news that it does not listen to, and holds up nobody else', () => {
    const declared = [hook('/a', { on: ['primary'] }), hook('/b')]
    const failing = (so: Hooks) => drain(so, declared, (ran) => !ran.startsWith('/a'))
    const first = failing(told(news(1, 'primary')))
    expect(first.all).toEqual(['/a 1', '/b 1'])
    const second = failing(add(add(first.hooks, news(2, 'unknown')), news(3, 'backup')))
    expect(second.all).toEqual(['/b 3'])
    const again = asked(second.hooks, declared, 1000)
    expect(again.ran).toBe('/a 1')
    // Who heard newer news does not hear the older one that still waits.
    const third = absorbHookEnd(again.hooks, again.hooks.runs, failure, at(1000))
    expect(asked(third, declared, 1001)).toMatchObject({ ran: undefined, waitsMs: 3000 })
    expect(asked(add(third, news(4, 'primary')), declared, 1001).ran).toBe('/a 4')
  })

  test('news that nobody listens to takes no room', () => {
    const declared = [hook('/a', { on: ['fault'] })]
    expect(add(add(seen, news(1, 'primary'), declared), news(2, 'unknown')).waiting).toEqual([])
  })

  test('beyond 16 the oldest is dropped, counted and shown for a minute', () => {
    const hooks = told(...Array.from({ length: 18 }, (_, n) => news(n + 1)))
    expect(hooks).toMatchObject({ dropped: 2, waiting: { length: 16, 0: { news: { sequence: 3 } } } })
    const judged = judgeHooks(routerWith(hooks, []), at(59_999))
    expect(judged).toMatchObject({
      overflowed: '2 changes of role were not told to hooks, the oldest first',
      lookAgainInMs: 1,
    })
    expect(judgeHooks(routerWith(hooks, []), at(60_000)).overflowed).toBeUndefined()
  })

  test('whatever comes and however hooks end: order holds, and who did not fail has heard the last news', () => {
    const declared = [hook('/a'), hook('/b', { on: ['primary'] })]
    const happening = fc.constantFrom('news', 'news', 'end well', 'end ill', 'end well')
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (all) => {
        let [hooks, sequence] = [seen, 0]
        const runs: number[] = []
        const go = () => {
          const step = asked(hooks, declared)
          ;({ hooks } = step)
          if (step.ran !== undefined) runs.push(hooks.underWay?.news.sequence ?? 0)
        }
        for (const one of all) {
          if (one === 'news') hooks = add(hooks, news(++sequence))
          else
            hooks = absorbHookEnd(
              hooks,
              hooks.underWay?.number ?? 0,
              one === 'end well' ? { ok: true } : failure,
              at(0),
            )
          go()
          expect(hooks.waiting.length).toBeLessThanOrEqual(16)
        }
        while (hooks.underWay !== undefined) {
          hooks = absorbHookEnd(hooks, hooks.underWay.number, { ok: true }, at(0))
          go()
        }
        expect(runs).toEqual(runs.toSorted((a, b) => a - b))
        const heard = hooks.heard?.get(keyOf(hook('/a')))
        const failed = hooks.last.get(keyOf(hook('/a')))?.failure !== undefined
        if (sequence > 0 && !failed) expect(heard?.sequence).toBe(sequence)
        const last = hooks.last.get(keyOf(hook('/b')))
        const newest = sequence - ((sequence + 1) % 2)
        if (newest > 0) expect(last?.sequence).toBe(newest)
      }),
    )
  })
})
