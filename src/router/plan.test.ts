import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { at, id, prefix, routerSpec } from '../../test/support/router.ts'
import { FakeHost } from '../host/fake-host.ts'
import type { HostEvent } from '../host/operation.ts'
import type { KernelEvidence } from './evidence.ts'
import { plan, type Plan, type Plannable } from './plan.ts'
import { newRouter } from './router.ts'
import type { RouterSpec } from './spec.ts'

/** A host in memory, and what the core would know of its router after looking. */
async function world(spec: RouterSpec) {
  let kernel: KernelEvidence = { kind: 'unseen' }
  const host = new FakeHost(
    () => at(0),
    (event: HostEvent) => {
      if (event.type === 'kernel') kernel = event.evidence
    },
  )
  await host.configure({ hash: '', routers: [spec] })
  const look = async (wanted: RouterSpec | undefined): Promise<Plannable> => {
    await host.recheck(spec.id)
    const inspection = await host.perform({ verb: 'inspect', router: spec.id })
    return {
      wanted,
      kernel,
      ...inspection,
      supervision: newRouter(spec.id, undefined, at(0)).supervision,
      marker: { present: false, since: at(0) },
    }
  }
  const apply = async ({ steps }: Plan) => {
    for (const one of steps) await host.perform({ ...one.operation, router: spec.id })
  }
  await Promise.resolve()
  return { host, look, apply }
}

const texts = ({ steps }: Plan) => steps.map((one) => one.text)

describe('plan()', () => {
  it('plan() makes the namespace, the interfaces and the config, and starts keepalived once the link has carrier', async () => {
    const { look, apply } = await world(routerSpec())
    const first = plan(await look(routerSpec()), 0)
    expect(texts(first)).toEqual([
      'make namespace keepward-r1 and its settings',
      'let only declared peers speak VRRP to it, and a backup say nothing',
      'create interface ha0 on bridge br-ha',
      'create interface ext0 on bridge br-ext',
      'test and write the keepalived config of r1',
    ])
    expect(first.waiting.map((one) => one.reason)).toEqual(['until ha0 has carrier'])
    await apply(first)
    const second = plan(await look(routerSpec()), 0)
    expect(texts(second)).toEqual(['start keepalived'])
    await apply(second)
    expect(plan(await look(routerSpec()), 0)).toEqual({ steps: [], waiting: [] })
  })

  it('plan() touches nothing that has not been looked at', () => {
    const unseen = { kind: 'unseen' } as const
    const { supervision } = newRouter(routerSpec().id, undefined, at(0))
    const marker = { present: false, since: at(0) }
    const router = { wanted: routerSpec(), kernel: unseen, process: unseen, settings: unseen, supervision, marker }
    expect(plan(router, 0)).toEqual({ steps: [], waiting: [] })
  })

  it('plan() removes an address of ours that is wanted no more, and leaves a stranger alone', async () => {
    const spec = routerSpec()
    const { host, look, apply } = await world(spec)
    for (let pass = 0; pass < 2; pass += 1) await apply(plan(await look(spec), 0))
    host.addAddress(id('r1'), 'ha0', { ...prefix('10.9.9.9/32'), ours: false })
    expect(texts(plan(await look(spec), 0))).toEqual([])
    host.addAddress(id('r1'), 'ha0', { ...prefix('10.8.8.8/32'), ours: true })
    expect(texts(plan(await look(spec), 0))).toEqual(['change interface ha0: remove 10.8.8.8/32'])
  })

  it('plan() puts the filter in force again when it is gone, also while keepalived runs, and before a new config', async () => {
    const spec = routerSpec()
    const { host, look, apply } = await world(spec)
    for (let pass = 0; pass < 2; pass += 1) await apply(plan(await look(spec), 0))
    host.loseFilter(spec.id)
    expect(texts(plan(await look(spec), 0))).toEqual([
      'let only declared peers speak VRRP to it, and a backup say nothing',
    ])
    const other = { ...spec, advertise: { ...spec.advertise, peers: ['169.254.192.3'] } }
    await host.configure({ hash: '', routers: [other] })
    expect(texts(plan(await look(other), 0))).toEqual([
      'let only declared peers speak VRRP to it, and a backup say nothing',
      'test and write the keepalived config of r1',
      'reload keepalived',
    ])
  })

  it('plan() starts keepalived although the filter cannot be had, and tries that again after 30 s', async () => {
    const spec = routerSpec()
    const { look, apply } = await world(spec)
    await apply(plan(await look(spec), 0))
    const router = await look(spec)
    if (router.settings.kind !== 'seen') throw new Error('not seen')
    const failure = { why: 'The kernel has no nf_tables', at: at(0) }
    const unfiltered = { ...router, settings: { ...router.settings, filter: { kind: 'missing', failure } as const } }
    const soon = plan(unfiltered, at(29_999).monoMs)
    expect(texts(soon)).toEqual(['start keepalived'])
    expect(soon.waiting.map((one) => one.step.operation.verb)).toEqual(['ensure-filter'])
    expect(texts(plan(unfiltered, at(30_000).monoMs))).toEqual([
      'let only declared peers speak VRRP to it, and a backup say nothing',
      'start keepalived',
    ])
  })

  it('plan() leaves a link down that somebody set down while keepalived runs', async () => {
    const spec = routerSpec()
    const { host, look, apply } = await world(spec)
    for (let pass = 0; pass < 2; pass += 1) await apply(plan(await look(spec), 0))
    host.setLink(id('r1'), 'ha0', { up: false, carrier: false })
    expect(texts(plan(await look(spec), 0))).toEqual([])
  })

  it('plan() is empty when applied twice, whatever was there before', async () => {
    const accident = fc.constantFrom('none', 'kill', 'namespace', 'address', 'interface', 'link', 'filter')
    await fc.assert(
      fc.asyncProperty(fc.array(accident, { maxLength: 6 }), async (accidents) => {
        const spec = routerSpec()
        const { host, look, apply } = await world(spec)
        for (const what of accidents) {
          await apply(plan(await look(spec), 0))
          if (!host.routers.has(spec.id)) continue
          if (what === 'kill') host.killKeepalived(spec.id)
          if (what === 'namespace') host.deleteNamespace(spec.id)
          if (what === 'address') host.removeAddress(spec.id, 'ha0', '169.254.192.1')
          if (what === 'interface') host.routers.get(spec.id)?.interfaces.delete('ext0')
          if (what === 'filter') host.loseFilter(spec.id)
          if (what === 'link') host.setLink(spec.id, 'ext0', { up: false })
        }
        for (let pass = 0; pass < 2; pass += 1) await apply(plan(await look(spec), 0))
        expect(plan(await look(spec), 0)).toEqual({ steps: [], waiting: [] })
      }),
      { numRuns: 200 },
    )
  })
})
