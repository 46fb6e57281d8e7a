import { afterEach, expect, test } from 'vitest'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest | undefined

afterEach(async () => {
  await it?.down()
})

/** LP#1597461: each host boots alone on its link, takes the role, and the link comes up under two primaries. */
test('two hosts are never both primary when the HA link passes traffic only after they have booted', async () => {
  it = await labFor('late', {
    prepare: (lab) => {
      for (const { name } of lab.hosts) lab.cut(name)
    },
  })
  const { lab } = it
  for (const { name } of lab.hosts) await it.answers(name)
  // A cut port of the switch leaves the carrier of ha0, which hangs on the host's own bridge: as with a late switch.
  await until('keepalived runs on both hosts', () => ['h1', 'h2'].every((host) => running(lab, host)))
  lab.heal()
  await it.settled()
  const intervals = [...(await primaryIntervals(it, 'h1')), ...(await primaryIntervals(it, 'h2'))]
  expect(overlapping(intervals)).toEqual([])
})

test('keepalived waits for the carrier of the HA link, and one host alone becomes primary when it comes', async () => {
  it = await labFor('carrier', {
    // A macvlan has the carrier of its parent: that of the bridge, whose one port is cut.
    config: (text) => text.replace('attach: { bridge: br-ha }', 'attach: { macvlan: br-ha }'),
    prepare: async (lab) => {
      for (const { name, namespace } of lab.hosts) {
        lab.cut(name)
        // The kernel tells of a lost carrier once a second at most (net/core/link_watch.c).
        await until('the bridge has no carrier', () =>
          ip('-n', namespace, 'link', 'show', 'br-ha').includes('NO-CARRIER'),
        )
      }
    },
  })
  const both = ['h1', 'h2']
  for (const host of both) expect(await it.condition(host, 'waiting-for-carrier')).toBe('ha0 has no carrier')
  for (const host of both) expect((await it.router(host)).role).toBe('unknown')
  it.lab.heal()
  const primary = await it.settled()
  for (const host of both) await it.noCondition(host)

  const intervals = [...(await primaryIntervals(it, 'h1')), ...(await primaryIntervals(it, 'h2'))]
  expect(intervals).toHaveLength(1)

  // Carrier lost again: a fault that names the link.
  it.lab.cut(it.other(primary))
  expect((await it.role(it.other(primary), 'fault')).cause).toBe('keepalived says fault: link ha0 has no carrier')
  it.lab.heal()
  await it.role(it.other(primary), 'backup')
})

function running(lab: LabUnderTest['lab'], host: string): boolean {
  return lab.keepalivedPids(host, 'r1').length === 2
}

interface Interval {
  readonly host: string
  readonly fromMs: number
  readonly untilMs: number
}

async function primaryIntervals(lab: LabUnderTest, host: string): Promise<Interval[]> {
  const intervals: Interval[] = []
  for (const { kind, body, at } of await lab.events(host, 'r1')) {
    if (kind !== 'transition') continue
    if (body['to'] === 'primary') intervals.push({ host, fromMs: at.wallMs, untilMs: Infinity })
    const last = intervals.pop()
    if (last !== undefined) intervals.push(body['from'] === 'primary' ? { ...last, untilMs: at.wallMs } : last)
  }
  return intervals
}

function overlapping(intervals: readonly Interval[]): Interval[] {
  return intervals.filter((one) =>
    intervals.some((other) => other !== one && other.fromMs < one.untilMs && one.fromMs < other.untilMs),
  )
}
