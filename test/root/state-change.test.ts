import { chmodSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { claimBody, refusalBody } from '../../src/agent/claim-record.ts'
import { unifiedMount } from '../../src/linux/control-group.ts'
import { parseRouterId, type RouterId } from '../../src/router/spec.ts'
import type { Policy, Rule } from '../../src/statechange/policy.ts'
import { Sender, type As } from '../support/sender/sender.ts'
import { exchange, nativeRequest, request, TestServer, verdict } from '../support/state-change.ts'

const nobody: As = { uid: 65_534, gid: 65_534 }
const kept = { Connection: undefined }

function only(id: string): ReadonlySet<RouterId> {
  const router = parseRouterId(id)
  if (router === undefined) throw new Error(`${id} is no router id`)
  return new Set([router])
}

const all = { routers: 'all', states: 'all' } as const
const policyOf = (...rules: readonly Rule[]): Policy => ({ ownUid: 0, rules })
const user = (uid: number): Rule['who'] => ({ kind: 'user', uid })
const group = (gid: number): Rule['who'] => ({ kind: 'group', gid })

/** A server whose socket anybody may open, and a sender of its own process. */
async function openTo(as: As, policy: Policy, options: Parameters<typeof TestServer.start>[0] = {}) {
  const it = await TestServer.start({ policy, access: { kind: 'everyone' }, ...options })
  const sender = await Sender.start(as)
  const say = async (...texts: readonly string[]) => {
    const heard = await sender.do('exchanges', { path: it.path, texts })
    return heard.map(({ reply }) => verdict(reply))
  }
  return {
    it,
    sender,
    say,
    async [Symbol.asyncDispose]() {
      await sender[Symbol.asyncDispose]()
      await it[Symbol.asyncDispose]()
    },
  }
}

test('a stranger gets 403, its connection is closed, and who it was is written down', async () => {
  await using open = await openTo(nobody, policyOf())
  const { it, sender } = open
  const [heard] = await sender.do('exchanges', { path: it.path, texts: [request(kept)], forMs: 2000 })
  expect(verdict(heard?.reply ?? '')).toBe('403 sender-refused')
  expect(heard?.tookMs).toBeLessThan(1000)
  expect(it.listener.claims).toEqual([])
  expect(it.audited).toEqual([
    {
      decision: 'refused',
      reason: 'sender-refused',
      sender: { uid: 65_534, gid: 65_534, groups: [], pid: sender.pid },
      controlGroup: expect.any(String) as string,
      router: 'r1',
      state: 'primary',
      key: undefined,
      count: 1,
    },
  ])
})

test.each<readonly [what: string, as: As, rule: Rule, said: string, wanted: string]>([
  ['the user of a rule', nobody, { who: user(65_534), ...all }, request(), '200'],
  ['another user than the rule’s', { uid: 65_533, gid: 65_534 }, { who: user(65_534), ...all }, request(), '403'],
  ['one whose first group is the rule’s', nobody, { who: group(65_534), ...all }, request(), '200'],
  [
    'one of whose groups is the rule’s',
    { ...nobody, groups: [5, 4242, 6] },
    { who: group(4242), ...all },
    request(),
    '200',
  ],
  ['one who is not of the group', { ...nobody, groups: [5, 6] }, { who: group(4242), ...all }, request(), '403'],
  ['one whose uid is the number of the group', nobody, { who: group(0), ...all }, request(), '403'],
  ['one of root’s group', { uid: 65_534, gid: 0, groups: [0] }, { who: user(0), ...all }, request(), '403'],
  ['of its router', nobody, { who: user(65_534), routers: only('r1'), states: 'all' }, request(), '200'],
  ['of another router', nobody, { who: user(65_534), routers: only('r2'), states: 'all' }, request(), '403'],
  ['a state it may', nobody, { who: user(65_534), routers: 'all', states: new Set(['primary']) }, request(), '200'],
  ['a state it may not', nobody, { who: user(65_534), routers: 'all', states: new Set(['backup']) }, request(), '403'],
])('%s speaks', async (_what, as, rule, said, wanted) => {
  await using open = await openTo(as, policyOf(rule))
  expect((await open.say(said))[0]?.slice(0, 3)).toBe(wanted)
  expect(open.it.listener.claims.map(({ sender }) => sender.uid)).toEqual(wanted === '200' ? [as.uid] : [])
})

test('the key of a router lets anybody speak for that router, and for no other', async () => {
  await using open = await openTo(nobody, policyOf())
  const { it, say } = open
  expect(await say(nativeRequest(it.master), nativeRequest(it.master, { router: 'r2', key: 'r1' }))).toEqual([
    '200',
    '403 sender-refused',
  ])
  expect(it.listener.claims).toMatchObject([{ router: 'r1', key: 'r1', sender: { uid: nobody.uid } }])
})

test('the kernel lets nobody else connect to a socket of our own, nor one of no group', async () => {
  await using own = await TestServer.start()
  await using shared = await TestServer.start({ access: { kind: 'group', gid: 4242 } })
  await using stranger = await Sender.start(nobody)
  await using member = await Sender.start({ ...nobody, groups: [4242] })
  // The socket's own mode is what refuses.
  chmodSync(own.directory, 0o711)
  expect(await stranger.do('connect', own.path)).toBe('EACCES')
  expect(await stranger.do('connect', shared.path)).toBe('EACCES')
  expect(await member.do('connect', shared.path)).toBeUndefined()
})

test('a stranger’s flood is slowed, and written down with its count', async () => {
  await using open = await openTo(nobody, policyOf(), { limits: { others: { perSecond: 5, burst: 5 } } })
  const { it, sender } = open
  const texts = Array.from({ length: 40 }, () => request())
  const heard = await sender.do('exchanges', { path: it.path, texts })
  expect(new Set(heard.map(({ reply }) => verdict(reply)))).toEqual(new Set(['403 sender-refused']))
  expect(heard.filter(({ tookMs }) => tookMs >= 490).length).toBeGreaterThanOrEqual(34)
  expect(verdict(await exchange(it.path, request()))).toBe('200')
  await it.server.close()
  expect(it.audited.map(({ reason, count }) => [reason, count])).toEqual([
    ['sender-refused', 1],
    ['sender-refused', 39],
  ])
})

test('of a user that says nothing at once so many connections stand, and the others wait for theirs to end', async () => {
  await using open = await openTo(nobody, policyOf({ who: user(nobody.uid), ...all }), {
    connections: { trusted: 64, others: 8 },
  })
  const { it, sender } = open
  const texts = Array.from({ length: 20 }, () => '')
  const heard = await sender.do('exchanges', { path: it.path, texts, forMs: 8000 })
  const lives = heard.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
  // The first eight give way to the next, of which four give way to the last.
  expect(lives.filter((ms) => ms < 1500).length).toBe(12)
  expect(lives.at(-1)).toBeLessThan(6000)
  expect(verdict(await exchange(it.path, request()))).toBe('200')
  await it.server.close()
  const count = (wanted: string) =>
    it.audited.filter(({ reason }) => reason === wanted).reduce((sum, entry) => sum + entry.count, 0)
  // Twelve waited, and twelve gave way.
  expect([count('connections-limit'), count('deadline-limit')]).toEqual([24, 8])
  expect(new Set(it.listener.looks)).toEqual(new Set(['all']))
  // Not one for each of forty-four.
  expect(it.listener.looks.length).toBeLessThan(20)
})

test('2,000 messages at once of a user that may have 64 connections: all are answered 200', async () => {
  const plenty = { perSecond: 1_000_000, burst: 1_000_000 }
  await using open = await openTo(nobody, policyOf({ who: user(nobody.uid), ...all }), { limits: { others: plenty } })
  const { it, sender } = open
  const texts = Array.from({ length: 2000 }, (_, n) => request({ 'X-Neutron-Router-Id': `r${n}` }))
  const heard = await sender.do('exchanges', { path: it.path, texts, forMs: 20_000 })
  expect(new Set(heard.map(({ reply }) => verdict(reply)))).toEqual(new Set(['200']))
  expect(new Set(it.listener.claims.map(({ router }) => router)).size).toBe(2000)
})

test('over its limit a Neutron sender is answered 200 within 2 s, and its messages are gathered', async () => {
  await using open = await openTo(nobody, policyOf({ who: user(nobody.uid), ...all }), {
    limits: { others: { perSecond: 5, burst: 5 } },
  })
  const { it, sender } = open
  const texts = Array.from({ length: 60 }, (_, n) => request({ 'X-Neutron-State': n % 2 === 0 ? 'primary' : 'backup' }))
  const heard = await sender.do('exchanges', { path: it.path, texts })
  expect(new Set(heard.map(({ reply }) => verdict(reply)))).toEqual(new Set(['200']))
  expect(Math.max(...heard.map(({ tookMs }) => tookMs))).toBeLessThan(2000)
  const counts = it.listener.claims.map(({ count }) => count)
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(60)
  expect(Math.max(...counts)).toBeGreaterThan(1)
  expect(it.listener.looks).toContain('r1')
  expect(it.audited[0]).toMatchObject({ decision: 'limited', reason: 'sender-limit', sender: { uid: nobody.uid } })
})

test('the name of a sender’s control group is a field without control characters', async () => {
  const mount = unifiedMount(readFileSync('/proc/self/mountinfo', 'utf8'))
  if (mount === undefined) throw new Error('this host has no unified control groups')
  const directory = `${mount}/kwt-\x1b[31m\x9b\x7f`
  mkdirSync(directory)
  try {
    await using open = await openTo(nobody, policyOf({ who: user(nobody.uid), ...all, states: new Set(['backup']) }))
    const { it, sender, say } = open
    writeFileSync(`${directory}/cgroup.procs`, String(sender.pid))
    expect(await say(request({ 'X-Neutron-State': 'backup' }), request())).toEqual(['200', '403 sender-refused'])
    const bodies = [
      ...it.listener.claims.map((claim) => claimBody(claim, 'accepted')),
      ...it.audited.map((entry) => refusalBody(entry, undefined)),
    ]
    const escaped = expect.stringMatching(/kwt-\\u\{1b\}\[31m\\u\{9b\}\\u\{7f\}$/) as string
    expect(bodies).toMatchObject([{ controlGroup: escaped }, { controlGroup: escaped }])
  } finally {
    rmdirSync(directory)
  }
})
