import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { at, id, prefix, routerSpec, settingsSeen as settings, signed } from '../../test/support/router.ts'
import type { RouterEffect } from './effect.ts'
import type { RouterEvent } from './event.ts'
import type { KernelEvidence, ObservedInterface, ProcessEvidence } from './evidence.ts'
import type { Role } from './role.ts'
import { newRouter, shownRole, type Recorded, type Router } from './router.ts'
import { step } from './step.ts'

const link = (change: Partial<ObservedInterface> = {}): ObservedInterface => ({
  up: true,
  carrier: true,
  ours: true,
  mtu: 1500,
  macAddress: '02:00:00:00:00:01',
  addresses: [],
  ...change,
})

const own = { ...prefix('169.254.192.1/18'), ours: true }
const marker = { ...prefix('169.254.0.7/24'), ours: false }
const virtual = { ...prefix('203.0.113.10/24'), ours: false }

function kernel(ms: number, primary: boolean, ha: Partial<ObservedInterface> = {}): KernelEvidence {
  const interfaces = new Map([
    ['ha0', link({ addresses: primary ? [own, marker] : [own], ...ha })],
    ['ext0', link({ addresses: primary ? [virtual] : [] })],
  ])
  return { kind: 'present', interfaces, named: true, asOf: at(ms) }
}

const running = (ms: number, change: Partial<Extract<ProcessEvidence, { kind: 'running' }>> = {}): ProcessEvidence => ({
  kind: 'running',
  pid: 40,
  childPid: 41,
  stopped: false,
  deaf: false,
  tied: false,
  startedAt: at(0),
  loadedDigest: 'c1',
  asOf: at(ms),
  ...change,
})

const absent = (ms: number): ProcessEvidence => ({ kind: 'absent', asOf: at(ms) })

interface Run {
  router: Router
  effects: RouterEffect[]
}

/** Feed events, each with its moment in ms, and collect every effect. */
function feed(router: Router, ...events: readonly (readonly [number, RouterEvent])[]): Run {
  const effects: RouterEffect[] = []
  let at_ = router
  for (const [ms, event] of events) {
    const stepped = step(at_, event, at(ms))
    at_ = stepped.router
    effects.push(...stepped.effects)
  }
  return { router: at_, effects }
}

const fresh = (recorded?: Recorded): Router => newRouter(id('r1'), recorded, at(0))

/** A router whose keepalived runs as backup and has said so. */
const asBackup: readonly (readonly [number, RouterEvent])[] = [
  [1, { type: 'wanted', spec: routerSpec({ authentication: signed }) }],
  [2, { type: 'kernel', evidence: kernel(2, false), from: 'recheck' }],
  [3, { type: 'process', evidence: running(3) }],
  [4, { type: 'settings', evidence: settings(4) }],
  [5, { type: 'answer', evidence: { kind: 'said', says: 'backup', priority: 100, asOf: at(5) } }],
]

const claimed = (ms: number, state: Role): RouterEvent => ({
  type: 'claimed',
  claim: { state, at: at(ms), uid: 0, pid: 812, intervalMs: undefined },
})

/** Looks that find the router as it was: the kernel's, and keepalived's own. */
const looked = (ms: number, primary: boolean): readonly (readonly [number, RouterEvent])[] => [
  [ms, { type: 'kernel', evidence: kernel(ms, primary), from: 'recheck' }],
  [ms, { type: 'answer', evidence: { kind: 'said', says: primary ? 'primary' : 'backup', priority: 1, asOf: at(ms) } }],
]

/** The steps under way ended well. */
function performed({ work }: Router): RouterEvent {
  const last = work.kind === 'performing' ? work.steps.at(-1) : undefined
  if (last === undefined) throw new Error('nothing is under way')
  return { type: 'performed', operation: last.operation, outcome: { ok: true } }
}

const transitions = (effects: readonly RouterEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'record-transition' ? [effect.transition] : []))
const verbs = (effects: readonly RouterEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'perform' ? effect.steps.map((one) => one.operation.verb) : []))

describe('step()', () => {
  it('step() records unknown to backup when keepalived runs, the marker is absent and keepalived said backup', () => {
    const { router, effects } = feed(fresh(), ...asBackup)
    expect(shownRole(router)).toBe('backup')
    expect(transitions(effects)).toEqual([
      {
        from: 'unknown',
        to: 'backup',
        at: at(5),
        lastedMs: undefined,
        cause: { kind: 'start', text: 'marker 169.254.0.7/24 is not on ha0, keepalived says backup' },
      },
    ])
    expect(verbs(effects)).toEqual([])
  })

  it('step() shows and clears keepalived-restarting when keepalived has another VRRP child, however soon', () => {
    const { router, effects } = feed(fresh(), ...asBackup, [
      500,
      { type: 'process', evidence: running(500, { childPid: 77 }) },
    ])
    expect([...router.raised.keys()]).toEqual(['keepalived-restarting'])
    expect(effects).toContainEqual({ type: 'ask-keepalived' })
    const answered = feed(router, [
      510,
      { type: 'answer', evidence: { kind: 'said', says: 'backup', priority: 100, asOf: at(510) } },
    ])
    expect([...answered.router.raised.keys()]).toEqual([])
  })

  it('step() shows no death while a keepalived that was just started has no VRRP child yet', () => {
    const childless = { childPid: undefined, startedAt: at(0) }
    const young = feed(fresh(), ...asBackup.slice(0, 2), [300, { type: 'process', evidence: running(300, childless) }])
    expect([...young.router.raised.keys()]).toEqual([])
    const old = feed(young.router, [1500, { type: 'process', evidence: running(1500, childless) }])
    expect([...old.router.raised.keys()]).toEqual(['keepalived-restarting'])
  })

  it('step() asks keepalived when a tracked link goes down, and not when another does', () => {
    const { router } = feed(fresh(), ...asBackup)
    const down = feed(router, [700, { type: 'kernel', evidence: kernel(700, false, { up: false }), from: 'watch' }])
    expect(down.effects).toContainEqual({ type: 'ask-keepalived' })
    const other = kernel(700, false)
    if (other.kind !== 'present') throw new Error('the kernel is there')
    const evidence = { ...other, interfaces: new Map([...other.interfaces, ['ext0', link({ up: false })]]) }
    expect(feed(router, [700, { type: 'kernel', evidence, from: 'watch' }]).effects).toEqual([])
  })

  it('step() reloads a deaf keepalived once its HA link has carrier, and looks at it when the link comes', () => {
    const deaf = { type: 'process', evidence: running(900, { deaf: true }) } as const
    const { router } = feed(
      fresh(),
      ...asBackup,
      [890, { type: 'kernel', evidence: kernel(890, false, { carrier: false }), from: 'watch' }],
      [900, deaf],
    )
    const carrying = feed(router, [1900, { type: 'kernel', evidence: kernel(1900, false), from: 'watch' }])
    expect(carrying.effects).toContainEqual({ type: 'inspect', depth: 'processes' })
    expect(verbs(carrying.effects)).toEqual(['reload-keepalived'])
    const reloaded = feed(
      carrying.router,
      [1910, { type: 'process', evidence: running(1910) }],
      [1910, performed(carrying.router)],
      [6000, { type: 'recheck' }],
    )
    expect(verbs(reloaded.effects)).toEqual([])
  })

  it('step() reloads a keepalived that is deaf at the start of the agent', () => {
    const { effects } = feed(
      fresh(),
      ...asBackup.slice(0, 2),
      [3, { type: 'process', evidence: running(3, { deaf: true }) }],
      [4, { type: 'settings', evidence: settings(4) }],
    )
    expect(verbs(effects)).toEqual(['reload-keepalived'])
  })

  it('step() reloads a keepalived that stays deaf ever more slowly, and shows that this does not help', () => {
    let run = feed(fresh(), ...asBackup, [1000, { type: 'process', evidence: running(1000, { deaf: true }) }])
    const reloadedMs: number[] = []
    for (let ms = 1000; ms <= 9000; ms += 500) {
      if (verbs(run.effects).length > 0) {
        reloadedMs.push(ms)
        run = feed(run.router, [ms, performed(run.router)])
      }
      run = feed(run.router, [ms + 500, { type: 'woken' }])
    }
    expect(reloadedMs).toEqual([1000, 2000, 4000, 8000])
    expect(run.router.raised.get('operation-failed')?.text).toBe(
      'no effect after 4 tries: reload keepalived, which is deaf',
    )
  })

  it('step() repeats what has no effect ever more slowly, also while a part of it must wait, and shows that', () => {
    const unmoved = settings(100, { wantedDigest: '', writtenDigest: 'left' })
    let run = feed(fresh(), ...asBackup, [1000, { type: 'settings', evidence: unmoved }])
    const done: (readonly [number, string])[] = []
    for (let ms = 1000; ms <= 9000; ms += 500) {
      while (verbs(run.effects).length > 0) {
        done.push([ms, verbs(run.effects).join()])
        run = feed(run.router, [ms, performed(run.router)])
      }
      run = feed(run.router, [ms + 500, { type: 'woken' }])
    }
    expect(done).toEqual([
      [1000, 'write-config,reload-keepalived'],
      [2000, 'write-config'],
      [4000, 'write-config,reload-keepalived'],
      [8000, 'write-config,reload-keepalived'],
    ])
    expect(run.router.raised.get('operation-failed')?.text).toBe(
      'no effect after 4 tries: test and write the keepalived config of r1; reload keepalived',
    )
  })

  it('step() says primary as soon as the marker is on the HA interface, whatever keepalived said', () => {
    const { router, effects } = feed(fresh(), ...asBackup, [
      900,
      { type: 'kernel', evidence: kernel(900, true), from: 'watch' },
    ])
    expect(shownRole(router)).toBe('primary')
    expect(transitions(effects).at(-1)).toEqual({
      from: 'backup',
      to: 'primary',
      at: at(900),
      lastedMs: 895,
      cause: { kind: 'kernel', text: 'marker 169.254.0.7/24 is on ha0' },
    })
    expect(effects).toContainEqual({ type: 'ask-keepalived' })
  })

  it('step() names the link when keepalived says fault', () => {
    const down = kernel(50, false, { carrier: false })
    const { effects } = feed(
      fresh(),
      ...asBackup,
      [50, { type: 'kernel', evidence: down, from: 'watch' }],
      [51, { type: 'answer', evidence: { kind: 'said', says: 'fault', priority: 100, asOf: at(51) } }],
    )
    expect(transitions(effects).at(-1)?.cause).toEqual({
      kind: 'keepalived',
      text: 'keepalived says fault: link ha0 has no carrier',
    })
  })

  it('step() keeps primary and raises address-without-keepalived when keepalived dies and the marker stays', () => {
    const { router, effects } = feed(
      fresh(),
      ...asBackup,
      [900, { type: 'kernel', evidence: kernel(900, true), from: 'watch' }],
      [2000, { type: 'process', evidence: absent(2000) }],
    )
    expect(shownRole(router)).toBe('primary')
    expect([...router.raised.keys()]).toEqual(['address-without-keepalived', 'keepalived-restarting'])
    expect(verbs(effects)).toEqual(['start-keepalived'])
  })

  it('step() says unknown when the namespace is gone', () => {
    const evidence: KernelEvidence = { kind: 'absent', reason: 'namespace keepward-r1 is not there', asOf: at(9) }
    const { router, effects } = feed(fresh(), ...asBackup, [9, { type: 'kernel', evidence, from: 'watch' }])
    expect(shownRole(router)).toBe('unknown')
    expect(transitions(effects).at(-1)?.cause).toEqual({ kind: 'kernel', text: 'namespace keepward-r1 is not there' })
  })

  it('step() starts a keepalived that died at once, then ever later when it dies again and again', () => {
    const died = (ms: number): [number, RouterEvent][] => [
      [ms, { type: 'process', evidence: running(ms, { pid: 100 + ms, startedAt: at(ms) }) }],
      [ms + 10, { type: 'process', evidence: absent(ms + 10) }],
    ]
    const first = feed(fresh(), ...asBackup, ...died(100))
    expect(verbs(first.effects)).toEqual(['start-keepalived'])
    const [operation] = first.effects
      .flatMap((one) => (one.type === 'perform' ? one.steps : []))
      .map((one) => one.operation)
    if (operation === undefined) throw new Error('nothing performed')
    const second = feed(first.router, [120, { type: 'performed', operation, outcome: { ok: true } }], ...died(130))
    expect(verbs(second.effects)).toEqual([])
    expect(second.effects.at(-1)).toEqual({ type: 'wake', afterMs: 1000 })
    expect(second.router.raised.get('keepalived-restarting')?.text).toBe(
      'keepalived died 2 times in a row and is to be started again',
    )
    const third = feed(second.router, [1200, { type: 'woken' }])
    expect(verbs(third.effects)).toEqual(['start-keepalived'])
  })

  it('step() does not start keepalived before the HA interface has carrier (LP#1597461)', () => {
    const dark = kernel(2, false, { carrier: false })
    const { router, effects } = feed(
      fresh(),
      [1, { type: 'wanted', spec: routerSpec({ authentication: signed }) }],
      [2, { type: 'kernel', evidence: dark, from: 'recheck' }],
      [3, { type: 'process', evidence: absent(3) }],
      [4, { type: 'settings', evidence: settings(4) }],
    )
    expect(verbs(effects)).toEqual([])
    expect([...router.raised.keys()]).toEqual(['waiting-for-carrier'])
    const lit = feed(router, [700, { type: 'kernel', evidence: kernel(700, false), from: 'watch' }])
    expect(verbs(lit.effects)).toEqual(['start-keepalived'])
  })

  it('step() raises keepalived-stalled, and kills nothing, when keepalived is stopped', () => {
    const { router, effects } = feed(fresh(), ...asBackup, [
      20,
      { type: 'process', evidence: running(20, { stopped: true }) },
    ])
    expect(router.raised.get('keepalived-stalled')?.text).toBe('keepalived 40 is stopped (state T)')
    expect(verbs(effects)).toEqual([])
    expect(shownRole(router)).toBe('backup')
  })

  it('step() raises kernel-disagrees only when an answer given after things settled still differs', () => {
    const early = feed(
      fresh(),
      ...asBackup,
      [900, { type: 'kernel', evidence: kernel(900, true), from: 'watch' }],
      [905, { type: 'answer', evidence: { kind: 'said', says: 'backup', priority: 100, asOf: at(905) } }],
    )
    expect([...early.router.raised.keys()]).toEqual([])
    const asked = feed(early.router, [1901, { type: 'woken' }])
    expect(asked.effects).toContainEqual({ type: 'ask-keepalived' })
    const late = feed(asked.router, [
      1905,
      { type: 'answer', evidence: { kind: 'said', says: 'backup', priority: 100, asOf: at(1905) } },
    ])
    expect(late.router.raised.get('kernel-disagrees')?.text).toBe(
      'keepalived says backup, but 169.254.0.7/24 is on ha0',
    )
  })

  it('step() reloads at most once per 1.5 advertisement intervals (LP#1647432)', () => {
    const changed = settings(100, { wantedDigest: 'c2', writtenDigest: 'c2', change: 'hitless' })
    const first = feed(fresh(), ...asBackup, [100, { type: 'settings', evidence: changed }])
    expect(verbs(first.effects)).toEqual(['reload-keepalived'])
    const reload = first.effects.flatMap((one) => (one.type === 'perform' ? one.steps : []))[0]?.operation
    if (reload === undefined) throw new Error('nothing performed')
    const again = settings(230, { wantedDigest: 'c3', writtenDigest: 'c3', change: 'hitless' })
    const second = feed(
      first.router,
      [210, { type: 'process', evidence: running(210, { loadedDigest: 'c2' }) }],
      [220, { type: 'performed', operation: reload, outcome: { ok: true } }],
      [230, { type: 'settings', evidence: again }],
    )
    expect(verbs(second.effects)).toEqual([])
    expect(second.effects.at(-1)).toEqual({ type: 'wake', afterMs: 1490 })
    expect(verbs(feed(second.router, [1720, { type: 'woken' }]).effects)).toEqual(['reload-keepalived'])
  })

  it('step() keeps the running config and raises config-refused when keepalived refuses the new one', () => {
    const changed = settings(100, { wantedDigest: 'c2' })
    const first = feed(fresh(), ...asBackup, [100, { type: 'settings', evidence: changed }])
    expect(verbs(first.effects)).toEqual(['write-config', 'reload-keepalived'])
    const text = "keepalived refuses the config: Unknown keyword 'x'"
    const { router, effects } = feed(first.router, [
      120,
      {
        type: 'performed',
        operation: { verb: 'write-config' },
        outcome: { ok: false, code: 'keepalived-refused-config', text },
      },
    ])
    expect(router.raised.get('config-refused')?.text).toBe(text)
    expect(verbs(effects)).toEqual([])
    expect(shownRole(router)).toBe('backup')
  })

  it('step() records nothing when the role still is what the journal of this boot says', () => {
    const recorded: Recorded = { role: 'backup', since: at(-50_000), sameBoot: true }
    const { router, effects } = feed(fresh(recorded), ...asBackup)
    expect(transitions(effects)).toEqual([])
    expect(router.role).toMatchObject({ kind: 'held', held: { role: 'backup', since: at(-50_000) } })
  })

  it('step() records what changed while the agent was away', () => {
    const recorded: Recorded = { role: 'primary', since: at(-50_000), sameBoot: true }
    const { effects } = feed(fresh(recorded), ...asBackup)
    expect(transitions(effects)).toMatchObject([{ from: 'primary', to: 'backup', lastedMs: 50_005 }])
  })

  it('step() starts again from unknown when the journal speaks of another boot', () => {
    const recorded: Recorded = { role: 'backup', since: at(-50_000), sameBoot: false }
    const { effects } = feed(fresh(recorded), ...asBackup)
    expect(transitions(effects)).toMatchObject([{ from: 'unknown', to: 'backup', lastedMs: undefined }])
  })

  it('step() removes what was made when the config wants the router no more', () => {
    const { effects } = feed(
      fresh(),
      ...asBackup,
      [10, { type: 'wanted', spec: undefined }],
      [11, { type: 'settings', evidence: settings(11) }],
    )
    expect(verbs(effects)).toEqual(['remove-router'])
  })

  it('step() shows addresses removed and added behind our back', () => {
    const gone: KernelEvidence = {
      kind: 'present',
      interfaces: new Map([
        ['ha0', link({ addresses: [own, marker] })],
        ['ext0', link()],
      ]),
      named: true,
      asOf: at(3000),
    }
    const primary = feed(
      fresh(),
      ...asBackup,
      [900, { type: 'kernel', evidence: kernel(900, true), from: 'watch' }],
      [910, { type: 'answer', evidence: { kind: 'said', says: 'primary', priority: 100, asOf: at(910) } }],
      [3000, { type: 'kernel', evidence: gone, from: 'watch' }],
    )
    expect(primary.router.raised.get('virtual-address-missing')?.text).toBe('203.0.113.10/24 missing from ext0')
    const added: KernelEvidence = {
      kind: 'present',
      interfaces: new Map([
        ['ha0', link({ addresses: [own] })],
        ['ext0', link({ addresses: [virtual] })],
      ]),
      named: true,
      asOf: at(3000),
    }
    const backup = feed(fresh(), ...asBackup, [3000, { type: 'kernel', evidence: added, from: 'watch' }])
    expect(backup.router.raised.get('virtual-address-leftover')?.text).toBe('203.0.113.10/24 still on ext0')
  })
})

describe('step() of a claim', () => {
  it('step() changes no role by it, and looks at the kernel; keepalived is looked at only when the claim differs', () => {
    const { router } = feed(fresh(), ...asBackup)
    const same = feed(router, [5000, claimed(5000, 'backup')])
    expect(same.effects).toEqual([{ type: 'recheck-kernel' }])
    const other = feed(router, [5000, claimed(5000, 'primary')])
    expect(other.effects).toEqual([
      { type: 'recheck-kernel' },
      { type: 'inspect', depth: 'processes' },
      { type: 'ask-keepalived' },
      { type: 'wake', afterMs: 1000 },
    ])
    expect(shownRole(other.router)).toBe('backup')
  })

  it('step() asks keepalived at most once in 100 ms, however many claims come', () => {
    const { router } = feed(fresh(), ...asBackup, ...looked(5000, false))
    expect(feed(router, [5050, claimed(5050, 'primary')]).effects).not.toContainEqual({ type: 'ask-keepalived' })
    expect(feed(router, [5100, claimed(5100, 'primary')]).effects).toContainEqual({ type: 'ask-keepalived' })
  })

  it('step() raises notifier-disagrees when a look after the claim has settled still differs, and clears it when they agree', () => {
    const claim = feed(fresh(), ...asBackup, [20_000, claimed(20_000, 'primary')], ...looked(20_005, false))
    expect([...claim.router.raised.keys()]).toEqual([])
    const woken = feed(claim.router, [21_000, { type: 'woken' }])
    expect(woken.effects).toEqual([
      { type: 'recheck-kernel' },
      { type: 'inspect', depth: 'processes' },
      { type: 'ask-keepalived' },
    ])
    expect([...woken.router.raised.keys()]).toEqual([])
    const { router } = feed(woken.router, ...looked(21_005, false))
    expect(router.raised.get('notifier-disagrees')?.text).toBe(
      'notifier said primary 1.0s ago (uid 0, pid 812), kernel says backup since 21s',
    )
    expect([...feed(router, [30_000, claimed(30_000, 'backup')]).router.raised.keys()]).toEqual([])
    expect([...feed(router, ...looked(30_000, true)).router.raised.keys()]).toEqual([])
  })

  it('step() takes a claim from before the agent’s start for disputed only when that has settled since it was heard', () => {
    const known = (ms: number): Router => newRouter(id('r1'), { role: 'backup', since: at(1), sameBoot: true }, at(ms))
    const late = (ms: number) => [ms, claimed(5000, 'primary')] as const
    const start = (ms: number) => asBackup.map(([after, event]) => [ms + after, event] as const)
    const heard = feed(
      known(20_000),
      ...start(20_000),
      ...looked(20_010, false),
      late(20_100),
      ...looked(20_200, false),
    )
    expect([...heard.router.raised.keys()]).toEqual([])
    const settled = feed(heard.router, ...looked(21_099, false), [21_100, { type: 'woken' }])
    expect([...settled.router.raised.keys()]).toEqual([])
    expect(settled.effects).toContainEqual({ type: 'ask-keepalived' })
    expect([...feed(settled.router, ...looked(21_101, false)).router.raised.keys()]).toEqual(['notifier-disagrees'])
  })

  it('step() takes a claim from before the agent’s start for owed only after a look that is newer than its settling', () => {
    const known = newRouter(id('r1'), { role: 'primary', since: at(8000), sameBoot: true }, at(20_000))
    const started = feed(known, ...asBackup.map(([ms, event]) => [20_000 + ms, event] as const))
    const heard = feed(started.router, ...looked(20_010, true), [20_100, claimed(5000, 'backup')])
    const waited = feed(heard.router, ...looked(21_000, true), [23_099, { type: 'woken' }])
    expect([...waited.router.raised.keys()]).toEqual([])
    const unseen = feed(waited.router, [23_100, { type: 'woken' }])
    expect([...unseen.router.raised.keys()]).toEqual([])
    expect(unseen.effects).toContainEqual({ type: 'recheck-kernel' })
    expect([...feed(unseen.router, ...looked(23_101, true)).router.raised.keys()]).toEqual(['notifier-silent'])
    expect([...feed(unseen.router, [23_101, claimed(23_100, 'primary')]).router.raised.keys()]).toEqual([])
  })

  it('step() tells the age of a claim in the same form as every other age', () => {
    const day = 86_400_000
    const spoken = feed(fresh(), ...asBackup, [5000, claimed(5000, 'backup')])
    const { router } = feed(spoken.router, ...looked(day, true), ...looked(day + 310_000, true))
    expect(router.raised.get('notifier-silent')?.text).toBe(
      'notifier said backup 1d00h ago (uid 0, pid 812) and nothing since, kernel says primary since 5m10s',
    )
  })

  it('step() keeps notifier-disagrees while the same claim is repeated', () => {
    const { router } = feed(fresh(), ...asBackup, [20_000, claimed(20_000, 'primary')], ...looked(21_000, false))
    const again = feed(router, [25_000, claimed(25_000, 'primary')], [25_001, { type: 'recheck' }])
    expect(again.effects.filter((one) => one.type === 'record-condition')).toEqual([])
    expect(again.router.raised.get('notifier-disagrees')).toMatchObject({ since: at(21_000) })
  })

  it('step() does not take a claim made while the role was young for a contradiction, but for one owed', () => {
    const { router } = feed(fresh(), ...asBackup, ...looked(9000, true), [9200, claimed(9200, 'backup')])
    const late = feed(router, ...looked(11_900, true), [11_999, { type: 'woken' }])
    expect([...late.router.raised.keys()].filter((code) => code.startsWith('notifier'))).toEqual([])
    expect(late.effects.at(-1)).toEqual({ type: 'wake', afterMs: 1 })
    expect(feed(late.router, [12_000, { type: 'woken' }]).router.raised.get('notifier-silent')?.text).toBe(
      'notifier said backup 2.8s ago (uid 0, pid 812) and nothing since, kernel says primary since 3.0s',
    )
  })

  it('step() raises notifier-silent 3 s after a change that the notifier does not tell, until it speaks again', () => {
    const spoken = feed(fresh(), ...asBackup, [5000, claimed(5000, 'backup')])
    const changed = feed(spoken.router, [9000, { type: 'kernel', evidence: kernel(9000, true), from: 'watch' }])
    const settled = feed(changed.router, ...looked(9010, true))
    expect(settled.effects.at(-1)).toEqual({ type: 'wake', afterMs: 2990 })
    const { router } = feed(settled.router, [12_000, { type: 'woken' }])
    expect([...router.raised.keys()]).toContain('notifier-silent')
    const told = feed(router, [15_000, claimed(15_000, 'primary')])
    expect([...told.router.raised.keys()].filter((code) => code.startsWith('notifier'))).toEqual([])
  })

  it('step() expects nothing of a notifier that never spoke', () => {
    const { router } = feed(fresh(), ...asBackup, ...looked(9000, true), [60_000, { type: 'woken' }])
    expect([...router.raised.keys()].filter((code) => code.startsWith('notifier'))).toEqual([])
  })

  it.each<[claim: Role, says: 'backup' | 'fault', raised: string[]]>([
    ['backup', 'backup', []],
    ['backup', 'fault', []],
    ['fault', 'fault', []],
    ['fault', 'backup', ['notifier-disagrees']],
    ['primary', 'fault', ['notifier-disagrees']],
    ['unknown', 'backup', []],
  ])('step() of claim %s while keepalived says %s raises %j', (claim, says, raised) => {
    const answer = (ms: number): [number, RouterEvent] => [
      ms,
      { type: 'answer', evidence: { kind: 'said', says, priority: 1, asOf: at(ms) } },
    ]
    const { router } = feed(
      fresh(),
      ...asBackup,
      answer(100),
      [5000, claimed(5000, claim)],
      ...looked(6000, false),
      answer(6000),
    )
    expect([...router.raised.keys()]).toEqual(raised)
  })

  it('step() names keepalived as the witness of a fault', () => {
    const fault = { type: 'answer', evidence: { kind: 'said', says: 'fault', priority: 1, asOf: at(8000) } } as const
    const { router } = feed(
      fresh(),
      ...asBackup,
      [100, fault],
      [5000, claimed(5000, 'primary')],
      ...looked(8000, false).slice(0, 1),
      [8000, fault],
    )
    expect(router.raised.get('notifier-disagrees')?.text).toBe(
      'notifier said primary 3.0s ago (uid 0, pid 812), keepalived says fault since 7.9s',
    )
  })

  it('step() owes no message to a change between backup and fault', () => {
    const fault = { type: 'answer', evidence: { kind: 'said', says: 'fault', priority: 1, asOf: at(100) } } as const
    const { router } = feed(
      fresh(),
      ...asBackup,
      [100, fault],
      [2000, claimed(2000, 'fault')],
      ...looked(3000, false),
      [60_000, { type: 'woken' }],
    )
    expect(shownRole(router)).toBe('backup')
    expect([...router.raised.keys()].filter((code) => code.startsWith('notifier'))).toEqual([])
  })

  it('step() goes on contradicting a claim of primary when the role changes from backup to fault', () => {
    const { router } = feed(fresh(), ...asBackup, [5000, claimed(5000, 'primary')], ...looked(6000, false), [
      7000,
      { type: 'answer', evidence: { kind: 'said', says: 'fault', priority: 1, asOf: at(7000) } },
    ])
    expect(shownRole(router)).toBe('fault')
    expect([...router.raised.keys()]).toEqual(['notifier-disagrees'])
  })

  it('step() judges nothing while the role is unknown', () => {
    const gone: KernelEvidence = { kind: 'absent', reason: 'gone', asOf: at(4000) }
    const { router } = feed(
      fresh(),
      ...asBackup,
      [4000, { type: 'kernel', evidence: gone, from: 'watch' }],
      [5000, claimed(5000, 'primary')],
      [9000, { type: 'kernel', evidence: { ...gone, asOf: at(9000) }, from: 'recheck' }],
    )
    expect(shownRole(router)).toBe('unknown')
    expect([...router.raised.keys()].filter((code) => code.startsWith('notifier'))).toEqual([])
  })

  it('step() keeps the newest claim, in whatever order they come', () => {
    const { router } = feed(fresh(), ...asBackup, [5000, claimed(5000, 'backup')], [5100, claimed(4800, 'primary')])
    expect(router.notifier?.claim.state).toBe('backup')
  })
})

describe('step(), any sequence of events', () => {
  const kernels = fc.constantFrom<KernelEvidence>(
    kernel(0, true),
    kernel(0, false),
    kernel(0, true, { carrier: false }),
    { kind: 'absent', reason: 'gone', asOf: at(0) },
  )
  const processes = fc.constantFrom(
    running(0),
    running(0, { stopped: true }),
    running(0, { childPid: undefined }),
    absent(0),
  )
  const events: fc.Arbitrary<RouterEvent> = fc.oneof(
    kernels.map((evidence) => ({ type: 'kernel', evidence, from: 'watch' }) as const),
    processes.map((evidence) => ({ type: 'process', evidence }) as const),
    fc
      .constantFrom('primary', 'backup', 'fault', 'starting')
      .map((says) => ({ type: 'answer', evidence: { kind: 'said', says, priority: 1, asOf: at(0) } }) as const),
    fc.constant({
      type: 'answer',
      evidence: { kind: 'silent', since: at(0), asOf: at(0), before: undefined, why: 'it is stopped' },
    } as const),
    fc.constant({ type: 'settings', evidence: settings(0) } as const),
    fc.constant({ type: 'recheck' } as const),
    fc.constant({ type: 'woken' } as const),
    fc.constant({ type: 'notified', says: 'primary' } as const),
    fc
      .tuple(fc.constantFrom<Role>('primary', 'backup', 'fault', 'unknown'), fc.nat(6000))
      .map(([state, ms]) => claimed(ms, state)),
  )

  it('step() ends in the state that the kernel says, and every change of role is recorded once, in order', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), kernels, (sequence, last) => {
        const all: RouterEvent[] = [
          { type: 'wanted', spec: routerSpec({ authentication: signed }) },
          ...sequence,
          { type: 'process', evidence: running(0) },
          { type: 'answer', evidence: { kind: 'said', says: 'backup', priority: 1, asOf: at(0) } },
          { type: 'kernel', evidence: last, from: 'recheck' },
        ]
        const { router, effects } = feed(fresh(), ...all.map((event, index) => [index * 100, event] as const))
        const holds = last.kind === 'present' && (last.interfaces.get('ha0')?.addresses.length ?? 0) > 1
        expect(shownRole(router)).toBe(last.kind === 'absent' ? 'unknown' : holds ? 'primary' : 'backup')
        const recorded = transitions(effects)
        let role = 'unknown'
        for (const one of recorded) {
          expect(one.from).toBe(role)
          expect(one.to).not.toBe(role)
          role = one.to
        }
        expect(role).toBe(shownRole(router))
      }),
      { numRuns: 500 },
    )
  })
})
