import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Deadlines } from './deadlines.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const until = (signal: AbortSignal) =>
  new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error)
    })
  })

test('run() leaves no timer behind work that has ended, or that throws', async () => {
  const deadlines = new Deadlines(10_000)
  await deadlines.run(() => Promise.resolve())
  await expect(
    deadlines.run(() => {
      throw new Error('at once')
    }),
  ).rejects.toThrow('at once')
  expect(vi.getTimerCount()).toBe(0)
})

test('run() gives up after its time', async () => {
  const late = expect(new Deadlines(10_000).run(until)).rejects.toMatchObject({
    name: 'TimeoutError',
    message: 'It took longer than 10000 ms',
  })
  await vi.advanceTimersByTimeAsync(10_000)
  await late
})

test('giveUp() ends what runs and what is to run', async () => {
  const deadlines = new Deadlines(10_000)
  const running = expect(deadlines.run(until)).rejects.toMatchObject({ name: 'AbortError' })
  deadlines.giveUp()
  await running
  let isAborted = false
  await deadlines.run((signal) => void (isAborted = signal.aborted))
  expect(isAborted).toBe(true)
})
