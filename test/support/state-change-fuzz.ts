import { inspect } from 'node:util'
import { expect } from 'vitest'
import { parseRouterId, type RouterId } from '../../src/router/spec.ts'
import type { Policy } from '../../src/statechange/policy.ts'
import type { Claim } from '../../src/statechange/receiver.ts'
import { refusalBody } from '../../src/agent/claim-record.ts'
import { makeChronicle } from '../../src/agent/events.ts'
import { makeLogger } from '../../src/agent/log.ts'
import { makeMetrics } from '../../src/agent/metrics.ts'
import type { AuditEntry } from '../../src/statechange/audit.ts'
import { Sender } from './sender/sender.ts'
import type { FuzzSeen } from './sender/fuzz.ts'
import { testBoot, TestServer } from './state-change.ts'

const uid = 65_534
const id = (text: string): ReadonlySet<RouterId> => {
  const parsed = parseRouterId(text)
  if (parsed === undefined) throw new Error(`${text} is no router id`)
  return new Set([parsed])
}
/** The sender's user may say one thing of one router, and one of its keys another of another. */
const policy: Policy = {
  ownUid: 0,
  rules: [
    { who: { kind: 'user', uid }, routers: id('r1'), states: new Set(['backup']) },
    { who: { kind: 'key', key: 'fleet' }, routers: id('r2'), states: new Set(['primary']) },
  ],
}

export interface Fuzzed extends FuzzSeen {
  readonly taken: number
  /** How many refusals the records stand for. */
  readonly recorded: number
  readonly logged: number
  /** Claims and log lines that must not be, the first of them. */
  readonly wrong: readonly string[]
}

/** A server beside a sender of mutants; `onLook` is called now and then meanwhile. */
export async function fuzzStateChanges(seed: number, requests: number, onLook?: () => void): Promise<Fuzzed> {
  const plenty = { perSecond: 1_000_000, burst: 1_000_000 }
  await using it = await TestServer.start({
    policy,
    access: { kind: 'everyone' },
    limits: { others: plenty, perRouter: plenty },
    connections: { trusted: 64, others: 1024 },
  })
  await using sender = await Sender.start({ uid, gid: uid })
  it.listener.durable = withinMs(3)
  const counted = { taken: 0, recorded: 0, logged: 0, wrong: Array.of<string>() }
  const look = () => {
    const entries = it.audited.splice(0)
    const claims = it.listener.claims.splice(0)
    it.listener.looks.length = 0
    counted.taken += claims.length
    counted.logged += entries.length
    counted.recorded += entries.reduce((sum, { count }) => sum + count, 0)
    const wrong = [
      ...claims.filter((claim) => !isRight(claim) || hasControls(claim)),
      ...entries.flatMap(logLines).filter((line) => !isPlainLine(line)),
    ]
    counted.wrong = [...counted.wrong, ...wrong.map((one) => inspect(one))].slice(0, 20)
    onLook?.()
  }
  const timer = setInterval(look, 200)
  try {
    const key = { id: 'fleet', secret: Buffer.alloc(32, 9) }
    const seen = await sender.do('fuzz', { path: it.path, seed, requests, boot: testBoot, key })
    await it.server.close()
    look()
    return { ...seen, ...counted }
  } finally {
    clearInterval(timer)
  }
}

/** The same requests again with KEEPWARD_TEST_SEED. */
export function fuzzSeed(): number {
  return Number(process.env['KEEPWARD_TEST_SEED'] ?? Date.now() % 1_000_000_000)
}

/** Nothing was taken without right, refused without need or left open; and so much of each was there that it says something. */
export function expectRight({ faults, wrong, answers, taken, recorded, logged, requests }: Fuzzed): void {
  expect(faults).toEqual([])
  expect(wrong).toEqual([])
  const got = (...statuses: readonly number[]) => statuses.reduce((sum, status) => sum + (answers[status] ?? 0), 0)
  expect(logged).toBeGreaterThan(10)
  expect(taken).toBeGreaterThan(requests / 40)
  expect(taken).toBeGreaterThanOrEqual(got(200))
  expect(got(403)).toBeGreaterThan(requests / 10)
  expect(got(400)).toBeGreaterThan(requests / 10)
  expect(recorded).toBeGreaterThanOrEqual(got(400, 403, 409, 413, 431))
}

/** Records become durable after a moment, each after another, as on a disk. */
function withinMs(longestMs: number): () => Promise<unknown> {
  let turn = 0
  return () => new Promise((resolve) => setTimeout(resolve, turn++ % (longestMs + 1)))
}

const isRight = ({ router, state, key, sender }: Claim): boolean =>
  sender.uid === uid &&
  ((router === 'r1' && state === 'backup') || (router === 'r2' && state === 'primary' && key === 'fleet'))

const written: string[] = []
const chronicle = makeChronicle(
  makeLogger('debug', 'host-a', { to: { write: (line) => written.push(line) } }),
  makeMetrics(),
)

/** What the agent logs of a refusal. */
function logLines(entry: AuditEntry): string[] {
  written.length = 0
  chronicle.claimRefused(refusalBody(entry))
  const lines = [...written]
  return lines.length === 1 ? lines : [`${lines.length} lines for ${inspect(entry)}`]
}

/** One line of JSON with a message of ours, in which nothing needs a terminal to be careful. */
function isPlainLine(line: string): boolean {
  if (!line.endsWith('\n') || hasControls(line.slice(0, -1))) return false
  const { msg } = JSON.parse(line) as { readonly msg?: unknown }
  return msg === 'state change refused' || msg === 'state changes over a limit'
}

/** Whether a text anywhere within has a control character, of C1 too. */
function hasControls(value: unknown): boolean {
  if (typeof value === 'string') return /[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasControls)
}
