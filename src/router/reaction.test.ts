import { describe, expect, test } from 'vitest'
import { advertisement, routerSpec, settingsSeen } from '../../test/support/router.ts'
import { diagnose } from './diagnose.ts'
import {
  absorbDeath,
  absorbLook,
  absorbRun,
  judgeReactions,
  nextRun,
  noReactions,
  reconsiderReactions,
  type ReactionName,
  type Reactions,
} from './reaction.ts'
import type { Role } from './role.ts'
import { newRouter, type Router } from './router.ts'

const spec = routerSpec({ routerAdvertisements: [advertisement] })
const at = (monoMs: number) => ({ wallMs: monoMs, monoMs })

function routerWith(reactions: Reactions, wanted = spec): Router {
  const kernel = { kind: 'present', interfaces: new Map(), named: true, asOf: at(0) } as const
  return { ...newRouter(spec.id, undefined, at(0)), wanted, kernel, reactions }
}

/** As the core does it: what is to be run is under way. */
function asked(reactions: Reactions, role: Role, now: number): { reactions: Reactions; stance: string | undefined } {
  const { run } = nextRun(routerWith(reactions), role, at(now))
  if (run === undefined) return { reactions, stance: undefined }
  return { reactions: { ...reactions, underWay: run, runs: run.number }, stance: run.stance }
}

const seen = (is: 'primary' | 'backup' | 'both' | 'neither') => absorbLook(noReactions, [{ reaction: 'radvd', is }])
const failure = { ok: false, code: 'reaction-failed', text: 'no' } as const

describe('nextRun()', () => {
  test.each([
    ['backup', 'primary', 'primary'],
    ['primary', 'backup', 'backup'],
    ['primary', 'fault', 'backup'],
    ['primary', 'unknown', undefined],
    ['neither', 'backup', 'backup'],
    ['primary', 'primary', undefined],
    ['both', 'primary', undefined],
    ['both', 'backup', undefined],
  ] as const)('of one that is as %s wants it, in the role %s: %s', (is, role, wanted) => {
    expect(asked(seen(is), role, 0).stance).toBe(wanted)
  })

  test('asks nothing of what nobody has looked at', () => {
    expect(asked(noReactions, 'primary', 0).stance).toBeUndefined()
  })

  test('lets go what the router is to have no more, whatever the role is', () => {
    const { run } = nextRun(routerWith(seen('neither'), routerSpec({})), 'unknown', at(0))
    expect(run).toMatchObject({ reaction: 'radvd', stance: 'backup' })
  })

  test('asks nothing of conntrackd before its filter is in force', () => {
    const connectionTracking = { source: '169.254.192.1', peer: '169.254.192.2', port: 3780 }
    const reactions = absorbLook(noReactions, [{ reaction: 'conntrackd', is: 'neither' }])
    const router = routerWith(reactions, routerSpec({ connectionTracking }))
    const missing = { kind: 'missing', failure: undefined } as const
    const filtered = (kind: 'ready' | 'missing'): Router => {
      const flows = kind === 'ready' ? { kind } : missing
      const tables = { vrrp: missing, nat: missing, flows, operator: missing }
      return { ...router, settings: settingsSeen(0, { tables }) }
    }
    expect(nextRun(filtered('missing'), 'backup', at(0)).run).toBeUndefined()
    expect(nextRun(filtered('ready'), 'backup', at(0)).run).toMatchObject({ reaction: 'conntrackd', stance: 'backup' })
  })

  test('asks for the newest role while an older one is under way, and for nothing when it is the same', () => {
    const first = asked(seen('backup'), 'primary', 0)
    expect(asked(first.reactions, 'primary', 1).stance).toBeUndefined()
    const second = asked(first.reactions, 'backup', 2)
    expect(second.stance).toBe('backup')
    // The first one was cancelled: what it says of itself is no failure, and does not end the second.
    const after = absorbRun(second.reactions, first.reactions.runs, failure, at(3))
    expect(after).toEqual(second.reactions)
    expect(absorbRun(after, second.reactions.runs, { ok: true, is: 'backup' }, at(4)).underWay).toBeUndefined()
  })

  test('tries a failed one again, ever more slowly up to 30 s, and says so', () => {
    let { reactions } = asked(seen('backup'), 'primary', 0)
    const waits: number[] = []
    for (let now = 0, tries = 0; tries < 7; tries++) {
      reactions = absorbRun(reactions, reactions.runs, failure, at(now))
      const waiting = nextRun(routerWith(reactions), 'primary', at(now))
      expect(waiting.run).toBeUndefined()
      waits.push((waiting.waitUntilMonoMs ?? 0) - now)
      now = waiting.waitUntilMonoMs ?? 0
      ;({ reactions } = asked(reactions, 'primary', now))
      expect(reactions.underWay?.stance).toBe('primary')
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
    expect(judgeReactions(routerWith(reactions), 'primary')).toBe('radvd as primary: no (7 times in a row)')
  })

  test('what would end with whoever started it is a condition for as long as it is found so', () => {
    const tied = absorbLook(noReactions, [{ reaction: 'radvd', is: 'backup', tied: true }])
    const text = 'radvd would end with the service that started it'
    const told = (reactions: Reactions) => diagnose(routerWith(reactions), at(0)).texts.get('reaction-tied')
    expect(told(tied)).toBe(text)
    const { reactions } = asked(tied, 'primary', 0)
    expect(told(absorbRun(reactions, 1, { ok: true, is: 'primary' }, at(1)))).toBe(text)
    expect(told(absorbLook(tied, [{ reaction: 'radvd', is: 'primary' }]))).toBeUndefined()
  })

  test.each([
    ['neither', 'radvd as primary: right after it was found as no role wants it'],
    ['backup', 'radvd as primary: right after it was found as backup wants it'],
  ] as const)(
    'a run that ended well and left it as %s wants it has failed, and is tried again ever more slowly',
    (is, text) => {
      let { reactions } = asked(seen('backup'), 'primary', 0)
      reactions = absorbRun(reactions, 1, { ok: true, is }, at(0))
      expect(judgeReactions(routerWith(reactions), 'primary')).toBe(text)
      expect(nextRun(routerWith(reactions), 'primary', at(0))).toEqual({ waitUntilMonoMs: 1000 })
      ;({ reactions } = asked(reactions, 'primary', 1000))
      reactions = absorbRun(reactions, 2, { ok: true, is }, at(1000))
      expect(nextRun(routerWith(reactions), 'primary', at(1000))).toEqual({ waitUntilMonoMs: 3000 })
    },
  )

  test('what failed is said for as long as the role wants it, whatever runs meanwhile', () => {
    const { reactions } = asked(seen('backup'), 'primary', 0)
    const failed = absorbRun(reactions, 1, failure, at(0))
    const looked = absorbLook(failed, [{ reaction: 'radvd', is: 'backup' }])
    expect(judgeReactions(routerWith(looked), 'primary')).toBe('radvd as primary: no')
    expect(judgeReactions(routerWith(looked), 'unknown')).toBe('radvd as primary: no')
    expect(judgeReactions(routerWith(looked), 'backup')).toBeUndefined()
    expect(judgeReactions(routerWith(absorbLook(failed, [{ reaction: 'radvd', is: 'primary' }])), 'primary')).toBe(
      undefined,
    )
  })

  test('what was applied is tried at once, and what failed before is not said of it', () => {
    const { reactions } = asked(seen('backup'), 'primary', 0)
    const applied = reconsiderReactions(absorbRun(reactions, 1, failure, at(0)))
    expect(judgeReactions(routerWith(applied), 'primary')).toBeUndefined()
    expect(asked(applied, 'primary', 1).stance).toBe('primary')
  })

  test('what is made anew for an apply has not died', () => {
    let reactions = absorbDeath(seen('primary'), 'radvd', '', at(0))
    ;({ reactions } = asked(reactions, 'primary', 0))
    reactions = absorbRun(reactions, 1, failure, at(1))
    ;({ reactions } = asked(reactions, 'primary', 2000))
    reactions = absorbRun(reactions, 2, { ok: true, is: 'primary' }, at(2100))
    const changed = absorbLook(reactions, [{ reaction: 'radvd', is: 'neither' }])
    expect(judgeReactions(routerWith(changed), 'primary')).toBeUndefined()
  })

  const connectionTracking = { source: '169.254.192.1', peer: '169.254.192.2', port: 3780 }
  const metadata = {
    on: 'primary',
    listen: [],
    port: 80,
    socket: '/run/m',
    user: 'haproxy',
    group: 'haproxy',
    networkId: undefined,
  } as const
  const all = routerSpec({ routerAdvertisements: [advertisement], metadata, connectionTracking })

  test.each([
    ['primary', 'radvd metadata conntrackd'],
    ['backup', 'metadata radvd conntrackd'],
    ['fault', 'metadata radvd'],
  ] as const)('in the role %s the order is %s: conntrackd, which may not answer, comes last', (role, order) => {
    const names: ReactionName[] = ['conntrackd', 'metadata', 'radvd']
    let reactions = absorbLook(
      noReactions,
      names.map((reaction) => ({ reaction, is: 'neither' })),
    )
    const runs: string[] = []
    for (let n = 0; n < 5; n++) {
      const { run } = nextRun({ ...routerWith(reactions, all), settings: settingsSeen(0) }, role, at(n))
      if (run === undefined) break
      runs.push(run.reaction)
      reactions = { ...reactions, underWay: run, runs: run.number }
      reactions = absorbRun(reactions, run.number, { ok: true, is: run.stance }, at(n))
    }
    expect(runs.join(' ')).toBe(order)
  })

  test('does not make the other role wait for what failed', () => {
    const { reactions } = asked(seen('neither'), 'primary', 0)
    expect(asked(absorbRun(reactions, 1, failure, at(0)), 'backup', 1).stance).toBe('backup')
  })

  test('starts what died at once, what dies again and again ever more slowly, and forgets that after a minute', () => {
    let { reactions } = asked(seen('backup'), 'primary', 0)
    reactions = absorbRun(reactions, 1, { ok: true, is: 'primary' }, at(0))
    reactions = absorbDeath(reactions, 'radvd', '', at(100))
    expect(judgeReactions(routerWith(reactions), 'primary')).toBe('radvd as primary: it died')
    ;({ reactions } = asked(reactions, 'primary', 100))
    reactions = absorbRun(reactions, 2, { ok: true, is: 'primary' }, at(200))
    expect(judgeReactions(routerWith(reactions), 'primary')).toBeUndefined()
    reactions = absorbDeath(reactions, 'radvd', 'no more memory', at(300))
    expect(judgeReactions(routerWith(reactions), 'primary')).toBe(
      'radvd as primary: it died: no more memory (2 times in a row)',
    )
    expect(nextRun(routerWith(reactions), 'primary', at(300))).toEqual({ waitUntilMonoMs: 1300 })
    ;({ reactions } = asked(reactions, 'primary', 1300))
    reactions = absorbRun(reactions, 3, { ok: true, is: 'primary' }, at(1400))
    reactions = absorbDeath(reactions, 'radvd', '', at(70_000))
    expect(asked(reactions, 'primary', 70_000).stance).toBe('primary')
  })

  test('a death that is told before its run is known to have ended is not lost, and counts once', () => {
    const underWay = asked(seen('backup'), 'primary', 0).reactions
    const died = absorbDeath(underWay, 'radvd', 'no more memory', at(1))
    expect(nextRun(routerWith(died), 'primary', at(1))).toEqual({})
    const ended = absorbRun(died, 1, { ok: true, is: 'primary' }, at(1))
    expect(judgeReactions(routerWith(ended), 'primary')).toBe('radvd as primary: it died: no more memory')
    expect(asked(ended, 'primary', 1).stance).toBe('primary')
    const seenDead = absorbRun(died, 1, { ok: true, is: 'neither' }, at(1))
    const toldLate = absorbDeath(
      absorbRun(underWay, 1, { ok: true, is: 'neither' }, at(1)),
      'radvd',
      'no more memory',
      at(2),
    )
    for (const reactions of [seenDead, toldLate]) {
      expect(judgeReactions(routerWith(reactions), 'primary')).toBe('radvd as primary: it died: no more memory')
      expect(nextRun(routerWith(reactions), 'primary', at(2))).toEqual({ waitUntilMonoMs: 1001 })
    }
  })
})
