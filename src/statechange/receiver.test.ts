import { expect, test, vi } from 'vitest'
import { Secret } from '../base/secret.ts'
import { exchange, nativeRequest, request, TestServer, testBoot, verdict } from '../../test/support/state-change.ts'
import { bootTimeNs } from '../linux/boot-clock.ts'
import { parseRouterId, type RouterId } from '../router/spec.ts'
import { routerKey } from './keys.ts'
import { rightOf, type Policy, type Right, type Rule, type Sender } from './policy.ts'

const id = (text: string): RouterId => parseRouterId(text) ?? (text as RouterId)
const sender: Sender = { pid: 7, uid: 1000, gid: 1000, groups: [] }
const all = { routers: 'all', states: 'all' } as const

test.each<
  readonly [
    what: string,
    sender: Partial<Sender>,
    rules: readonly Rule[],
    key: string | undefined,
    right: Right | undefined,
  ]
>([
  ['nobody else', {}, [], undefined, undefined],
  ['root', { uid: 0 }, [], undefined, 'root'],
  ['our own user', { uid: 77 }, [], undefined, 'own-user'],
  ['a user of a rule', {}, [{ who: { kind: 'user', uid: 1000 }, ...all }], undefined, 'user-rule'],
  ['a user of no rule', { uid: 1001 }, [{ who: { kind: 'user', uid: 1000 }, ...all }], undefined, undefined],
  ['a first group', {}, [{ who: { kind: 'group', gid: 1000 }, ...all }], undefined, 'group-rule'],
  ['another group', { groups: [5, 6] }, [{ who: { kind: 'group', gid: 6 }, ...all }], undefined, 'group-rule'],
  ['a group it is not in', { groups: [5] }, [{ who: { kind: 'group', gid: 6 }, ...all }], undefined, undefined],
  ['a uid that is a gid', {}, [{ who: { kind: 'group', gid: 0 }, ...all }], undefined, undefined],
  ['the key of the router', {}, [], 'r1', 'router-key'],
  ['the key of another router', {}, [], 'r2', undefined],
  ['the key of another router, of root', { uid: 0 }, [], 'r2', undefined],
  ['a key of a rule', {}, [{ who: { kind: 'key', key: 'fleet' }, ...all }], 'fleet', 'key-rule'],
  [
    'another router than the rule’s',
    {},
    [{ who: { kind: 'user', uid: 1000 }, routers: new Set([id('r2')]), states: 'all' }],
    undefined,
    undefined,
  ],
  [
    'another state than the rule’s',
    {},
    [{ who: { kind: 'user', uid: 1000 }, routers: 'all', states: new Set(['backup']) }],
    undefined,
    undefined,
  ],
  [
    'one rule of several',
    {},
    [
      { who: { kind: 'user', uid: 3 }, ...all },
      { who: { kind: 'user', uid: 1000 }, routers: new Set([id('r1')]), states: new Set(['primary']) },
    ],
    undefined,
    'user-rule',
  ],
])('rightOf(): %s', (_, who, rules, key, right) => {
  const policy: Policy = { ownUid: 77, rules }
  expect(rightOf(policy, { ...sender, ...who }, { router: id('r1'), state: 'primary', key })).toBe(right)
})

const stranger = { ownUid: -1, rules: [] }
/** The tests run as root or another user: to be a stranger, one must be neither. */
const asStranger = test.skipIf(process.geteuid?.() === 0)

asStranger('one who may not speak gets 403, its connection ends, and it is written down', async () => {
  await using it = await TestServer.start({ policy: stranger })
  const reply = await exchange(it.path, request({ Connection: undefined }))
  expect(verdict(reply)).toBe('403 sender-refused')
  expect(it.listener.claims).toEqual([])
  expect(it.audited).toMatchObject([{ decision: 'refused', reason: 'sender-refused', router: 'r1', state: 'primary' }])
})

test.each([
  ['compatible', '200'],
  ['strict', '404 router-unknown'],
] as const)('a router that is not known, when %s', async (unknownRouters, wanted) => {
  await using it = await TestServer.start({ unknownRouters })
  expect(verdict(await exchange(it.path, request({ 'X-Neutron-Router-Id': 'r9' })))).toBe(wanted)
  expect(it.listener.claims).toHaveLength(wanted === '200' ? 1 : 0)
})

test('a native message is taken once; an older one, and the same again, is superseded', async () => {
  await using it = await TestServer.start()
  const sequence = bootTimeNs()
  const send = async (at: bigint, state: string) =>
    verdict(await exchange(it.path, nativeRequest(it.master, { sequence: at, state })))
  expect(await send(sequence, 'primary')).toBe('200')
  expect(await send(sequence, 'primary')).toBe('409 superseded')
  expect(await send(sequence - 1n, 'backup')).toBe('409 superseded')
  expect(await send(sequence + 1n, 'backup')).toBe('200')
  expect(it.listener.claims.map((claim) => [claim.state, claim.key])).toEqual([
    ['primary', 'r1'],
    ['backup', 'r1'],
  ])
})

const minute = 60_000_000_000n

test.each<readonly [what: string, says: Parameters<typeof nativeRequest>[1], wanted: string]>([
  ['another secret', { secret: new Secret(Buffer.alloc(32, 1)) }, '403 signature-wrong'],
  ['the key of another router', { key: 'r2' }, '403 sender-refused'],
  [
    'another router’s signature',
    { key: 'r1', secret: routerKey(new Secret(Buffer.alloc(32, 7)), 'r2') },
    '403 signature-wrong',
  ],
  ['another boot', { boot: testBoot.replace('2', '3') }, '403 boot-differs'],
  ['a wall clock that is behind', { sentMs: Date.now() - 61_000 }, '403 clock-skewed'],
  ['a wall clock that is ahead', { sentMs: Date.now() + 61_000 }, '403 clock-skewed'],
  ['a sequence of the future', { sequence: bootTimeNs() + minute }, '403 clock-skewed'],
  [
    'a sequence of long ago',
    { sequence: bootTimeNs() > 2n * minute ? bootTimeNs() - 2n * minute : 0n },
    '409 superseded',
  ],
])('a native message with %s', async (_, says, wanted) => {
  await using it = await TestServer.start()
  expect(verdict(await exchange(it.path, nativeRequest(it.master, says)))).toBe(wanted)
  expect(it.listener.claims).toHaveLength(wanted === '200' ? 1 : 0)
})

test('each field of a native message is signed', async () => {
  await using it = await TestServer.start()
  const good = nativeRequest(it.master)
  const changes: readonly (readonly [RegExp, string])[] = [
    [/State: primary/, 'State: backup'],
    [/State: primary/, 'State: master'],
    [/Router-Id: r1/, 'Router-Id: r2'],
    [/sequence: \d/, 'sequence: 1'],
    [/time: (\d+)\d/, 'time: $10'],
    [/\r\n\r\n$/, '\r\nX-Keepward-Interval: 5\r\n\r\n'],
  ]
  for (const [from, to] of changes) {
    const changed = good.replace(from, to)
    if (changed === good) continue
    expect(verdict(await exchange(it.path, changed))).toBe('403 signature-wrong')
  }
  expect(verdict(await exchange(it.path, good))).toBe('200')
})

test.each([
  ['becomes durable', true, '409 superseded'],
  ['is lost', false, '503 journal-unavailable'],
])('a replay while the message is being written is taken for none: %s', async (_, durable, wanted) => {
  await using it = await TestServer.start()
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  it.listener.durable = () => promise
  const sequence = bootTimeNs()
  const send = async (at: bigint) => verdict(await exchange(it.path, nativeRequest(it.master, { sequence: at })))
  const first = send(sequence)
  await vi.waitFor(() => {
    expect(it.listener.claims).toHaveLength(1)
  })
  const later = [send(sequence), send(sequence - 1n)]
  await new Promise((done) => setTimeout(done, 100))
  if (durable) resolve(undefined)
  else reject(new Error('the disk is full'))
  expect(await first).toBe(durable ? '200' : '503 journal-unavailable')
  expect(await Promise.all(later)).toEqual([wanted, wanted])
  expect(it.listener.claims).toHaveLength(1)
})

test('a native message that becomes durable after its 503 is superseded when it comes again', async () => {
  await using it = await TestServer.start()
  const { promise, resolve } = Promise.withResolvers<undefined>()
  it.listener.durable = () => promise
  const bytes = nativeRequest(it.master)
  expect(verdict(await exchange(it.path, bytes))).toBe('503 journal-unavailable')
  resolve(undefined)
  expect(verdict(await exchange(it.path, bytes))).toBe('409 superseded')
})

test('a sequence that an earlier run took is superseded', async () => {
  await using it = await TestServer.start()
  const sequence = bootTimeNs()
  it.receiver.restore(id('r1'), sequence)
  expect(verdict(await exchange(it.path, nativeRequest(it.master, { sequence })))).toBe('409 superseded')
})

test('while nothing can be recorded a native sender gets 503, and its message counts when it comes again', async () => {
  await using it = await TestServer.start()
  it.listener.recording = false
  const bytes = nativeRequest(it.master)
  const reply = await exchange(it.path, bytes)
  expect(verdict(reply)).toBe('503 journal-unavailable')
  expect(reply).toMatch(/\r\nRetry-After: 1\r\n/)
  expect(it.listener.looks).toEqual(['r1'])
  it.listener.recording = true
  expect(verdict(await exchange(it.path, bytes))).toBe('200')
})

test('a Neutron sender gets its 200 within 2 s when the disk does not answer, a native one its 503', async () => {
  await using it = await TestServer.start()
  it.listener.durable = () => new Promise(() => undefined)
  const startedMs = performance.now()
  const [neutron, native] = await Promise.all([
    exchange(it.path, request()),
    exchange(it.path, nativeRequest(it.master)),
  ])
  expect([verdict(neutron), verdict(native)]).toEqual(['200', '503 journal-unavailable'])
  expect(performance.now() - startedMs).toBeLessThan(2000)
  expect(it.listener.claims).toHaveLength(2)
})

test('no answer before the record is durable', async () => {
  await using it = await TestServer.start()
  const { promise, resolve } = Promise.withResolvers<undefined>()
  it.listener.durable = () => promise
  let answered = false
  const reply = exchange(it.path, request()).then((text) => {
    answered = true
    return text
  })
  await vi.waitFor(() => {
    expect(it.listener.claims).toHaveLength(1)
  })
  await new Promise((done) => setTimeout(done, 100))
  expect(answered).toBe(false)
  resolve(undefined)
  expect(verdict(await reply)).toBe('200')
})

test('over the limit of a router native senders get 429, others one record for all, and the kernel is looked at', async () => {
  await using it = await TestServer.start({ limits: { perRouter: { perSecond: 1, burst: 3 } } })
  const send = (n: number) =>
    Promise.all(
      Array.from({ length: n }, async (_, at) => {
        const state = at === n - 1 ? 'backup' : 'primary'
        return verdict(await exchange(it.path, request({ 'X-Neutron-State': state })))
      }),
    )
  const startedMs = performance.now()
  expect(new Set(await send(20))).toEqual(new Set(['200']))
  expect(performance.now() - startedMs).toBeLessThan(2000)
  expect(it.listener.claims.map(({ count }) => count)).toEqual([1, 1, 1, 17])
  expect(it.listener.claims.at(-1)?.state).toBe('backup')
  expect(it.listener.looks).toContain('r1')
  const reply = await exchange(it.path, nativeRequest(it.master))
  expect(verdict(reply)).toBe('429 rate-exceeded')
  expect(reply).toMatch(/\r\nRetry-After: 1\r\n/)
  expect(verdict(await exchange(it.path, request({ 'X-Neutron-Router-Id': 'r2' })))).toBe('200')
  const limited = it.audited.filter(({ decision }) => decision === 'limited')
  expect(limited).toMatchObject([{ reason: 'router-limit', router: 'r1', count: 1 }])
})

test('one connection too many ends the oldest that says nothing, not the one that speaks', async () => {
  await using it = await TestServer.start({ connections: { trusted: 3, others: 3 } })
  const silent = Array.from({ length: 3 }, () => exchange(it.path, '', { forMs: 4000 }))
  await new Promise((done) => setTimeout(done, 50))
  const startedMs = performance.now()
  expect(verdict(await exchange(it.path, request()))).toBe('200')
  await silent[0]
  expect(performance.now() - startedMs).toBeLessThan(1000)
  expect(it.audited).toMatchObject([{ decision: 'limited', reason: 'connections-limit' }])
})

test('takes 2,000 senders at once and refuses none', { timeout: 20_000 }, async () => {
  await using it = await TestServer.start()
  const replies = await Promise.all(
    Array.from({ length: 2000 }, (_, n) =>
      exchange(it.path, request({ 'X-Neutron-Router-Id': `r${n}` }), { forMs: 15_000 }),
    ),
  )
  expect(new Set(replies.map(verdict))).toEqual(new Set(['200']))
  expect(it.listener.claims).toHaveLength(2000)
})
