import { expect, test } from 'vitest'
import { viewSinks } from './view-sinks.ts'

test('viewSinks() says of an error how long ago it was', () => {
  const status = {
    ...{ state: { trouble: undefined, insecure: undefined }, waiting: 1, oldestMs: 20.4, awayMs: 0, gap: undefined },
    ...{ refused: new Map(), delivered: 5, failures: 1, lastError: 'timed out', lastErrorMs: 9000.2 },
  }
  expect(viewSinks([{ name: 'fleet', type: 'nats', status }])).toEqual([
    {
      ...{ name: 'fleet', type: 'nats', state: 'ready', waiting: 1, oldestMs: 20, delivered: 5, failures: 1 },
      ...{ refused: [], lastError: 'timed out', lastErrorMs: 9000 },
    },
  ])
})

test('viewSinks() says what a sink waits for that has not begun', () => {
  const status = 'the journal has not said yet how far it has come'
  expect(viewSinks([{ name: 'fleet', type: 'nats', status }])).toMatchObject([{ state: 'unreachable', reason: status }])
})
