import { afterAll, beforeAll, expect, test } from 'vitest'
import { addAddress, removeAddress } from '../../src/linux/address.ts'
import { linkByName } from '../../src/linux/link.ts'
import { openNetlink } from '../../src/linux/netlink-socket.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  // Long adverts: keepalived has no part in what happens within a second.
  it = await labFor('flaps', {
    advertisementInterval: '1s',
    config: (text) => `${text}    flaps: { changes: 10, window: 3s }\n`,
  })
})
afterAll(async () => {
  await it.down()
})

test('every one of 200 flaps of the marker within a second is recorded in order, and the last state is right', async () => {
  const host = it.other(await it.settled())
  await it.noCondition(host)
  const after = await it.lastSeq(host)
  using namespace = openNamespace(it.namespace(host))
  using socket = openNetlink(namespace.fd)
  const { ifindex } = linkByName(socket, 'ha0')
  const marker = { family: 4, address: '169.254.0.1', prefixLength: 24 } as const
  const startedMs = performance.now()
  for (let n = 0; n < 100; n += 1) {
    socket.apply([addAddress(ifindex, marker, 0)])
    socket.apply([removeAddress(ifindex, marker)])
  }
  expect(performance.now() - startedMs).toBeLessThan(1000)
  const records = await until('200 transitions are recorded', async () => {
    const found = (await it.events(host, 'r1', after)).filter(({ kind }) => kind === 'transition')
    return found.length >= 200 && found
  })
  expect(records).toHaveLength(200)
  expect(records.map(({ body }) => body['to'])).toEqual(Array.from({ length: 100 }, () => ['primary', 'backup']).flat())
  const routerSeqs = records.map(({ routerSeq }) => routerSeq ?? 0)
  expect(routerSeqs).toEqual(routerSeqs.toSorted((a, b) => a - b))
  const times = records.map(({ at }) => at.monoMs)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect((await it.router(host)).role).toBe('backup')
  // Within the window; shown, and over by itself.
  expect(await it.conditions(host, 'r1', after)).toContain('raised flapping')
  await it.noCondition(host)
  expect((await it.status(host)).journal).toMatchObject({ state: 'ok', lost: 0 })
  expect(await it.verify(host)).toMatchObject({ ok: true })
})
