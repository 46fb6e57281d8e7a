import { expect, test, vi } from 'vitest'
import type { AnchorPoint } from '../anchor/anchor.ts'
import { KeepwardError } from '../base/error.ts'
import { Anchoring } from './anchoring.ts'

const hash = 'a'.repeat(64)

/** A journal that is as long as it is said to be, and a clock that is moved by hand. */
function place() {
  const signed: number[] = []
  const troubles: (string | undefined)[] = []
  const copies: (string | undefined)[] = []
  const at = {
    seq: 0,
    failure: undefined as KeepwardError | undefined,
    copyTrouble: undefined as string | undefined,
    pending: 0,
  }
  const anchoring = new Anchoring({
    journal: {
      epoch: { journal: 'b'.repeat(32), start: 1 },
      get tail() {
        return { seq: at.seq, hash }
      },
      get status() {
        const { pending, seq: durableSeq } = at
        const none = { oldestPendingMonoMs: undefined, retainedFromSeq: 1, sizeBytes: 0, commits: 0, lost: 0 }
        return { kind: 'ok' as const, pending, durableSeq, ...none }
      },
    },
    sign: ({ seq }: AnchorPoint) => {
      if (at.failure !== undefined) return Promise.reject(at.failure)
      signed.push(seq)
      return Promise.resolve(at.copyTrouble)
    },
    clock: () => ({ wallMs: Date.now(), monoMs: Date.now() }),
    onTrouble: (text) => troubles.push(text),
    onCopyTrouble: (text) => copies.push(text),
  })
  return { at, anchoring, signed, troubles, copies }
}

async function inTime(work: (of: ReturnType<typeof place>) => Promise<void>): Promise<void> {
  vi.useFakeTimers()
  const of = place()
  try {
    of.anchoring.start()
    await work(of)
  } finally {
    const ended = of.anchoring.finish()
    await vi.advanceTimersByTimeAsync(5000)
    await ended
    vi.useRealTimers()
  }
}

test('new records are signed five seconds after the last time, and nothing when there are none', () =>
  inTime(async ({ at, signed }) => {
    at.seq = 2
    await vi.advanceTimersByTimeAsync(1000)
    expect(signed, 'the first at once').toEqual([2])
    at.seq = 3
    await vi.advanceTimersByTimeAsync(4000)
    expect(signed).toEqual([2])
    await vi.advanceTimersByTimeAsync(1000)
    expect(signed).toEqual([2, 3])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(signed).toEqual([2, 3])
    at.seq = 4
    await vi.advanceTimersByTimeAsync(1000)
    expect(signed).toEqual([2, 3, 4])
  }))

test('a thousand records are signed at once', () =>
  inTime(async ({ at, signed }) => {
    at.seq = 1
    await vi.advanceTimersByTimeAsync(1000)
    at.seq = 1000
    await vi.advanceTimersByTimeAsync(1000)
    expect(signed).toEqual([1])
    at.seq = 1001
    await vi.advanceTimersByTimeAsync(1000)
    expect(signed).toEqual([1, 1001])
  }))

test('finish() waits for the last record and has it signed', () =>
  inTime(async ({ at, anchoring, signed }) => {
    Object.assign(at, { seq: 7, pending: 1 })
    const ended = anchoring.finish()
    await vi.advanceTimersByTimeAsync(100)
    expect(signed).toEqual([])
    Object.assign(at, { seq: 8, pending: 0 })
    await vi.advanceTimersByTimeAsync(100)
    await ended
    expect(signed).toEqual([8])
  }))

test('a root half that is away is said after 30 s, a refusal at once, and both are over with the next signature', () =>
  inTime(async ({ at, troubles }) => {
    at.seq = 5
    at.failure = new KeepwardError('host-unreachable', 'It is not there')
    await vi.advanceTimersByTimeAsync(30_000)
    expect(troubles).toEqual([])
    await vi.advanceTimersByTimeAsync(1000)
    expect(troubles).toEqual(['record 5 is not signed: It is not there'])
    at.failure = undefined
    await vi.advanceTimersByTimeAsync(1000)
    expect(troubles.at(-1)).toBeUndefined()
    at.failure = new KeepwardError('anchor-refused', 'More was signed before')
    at.seq = 6
    await vi.advanceTimersByTimeAsync(6000)
    expect(troubles.at(-1)).toBe('record 6 is not signed: More was signed before')
  }))

test('what is signed and cannot be copied is said, and that it can again', () =>
  inTime(async ({ at, copies, troubles }) => {
    at.copyTrouble = 'Nobody listens at /dev/log'
    at.seq = 1
    await vi.advanceTimersByTimeAsync(1000)
    at.copyTrouble = undefined
    at.seq = 2
    await vi.advanceTimersByTimeAsync(6000)
    expect(copies).toEqual(['Nobody listens at /dev/log', undefined])
    expect(troubles).toEqual([undefined, undefined])
  }))
