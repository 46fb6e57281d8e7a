import { expect, test } from 'vitest'
import { testJournal, transition } from '../../test/support/journal.ts'
import { farEnd, heartbeat } from '../../test/support/far-end.ts'
import { until } from '../../test/support/until.ts'
import { Reporting } from './reporting.ts'
import type { WebhookSettings } from './settings.ts'

const settings = (name: string): WebhookSettings => ({
  ...{ type: 'webhook', name, delivery: 'latest', repeatMs: 60_000, caFile: undefined, clientCertificate: undefined },
  ...{ url: 'https://h/', secret: { kind: 'file', path: '/s' }, allowNetworks: [] },
  filter: { routers: undefined, kinds: undefined, roles: undefined },
})

test('Reporting tells each sink what another one does not take, and says why one has not begun', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const [one, other] = [farEnd(), farEnd()]
  one.answer = () => Promise.reject(new Error('not today'))
  await using reporting = new Reporting({
    settings: ['one', 'other', 'broken'].map(settings),
    tools: {
      agent: 'host1',
      version: '0.1.0',
      readSecret: () => Promise.reject(new Error('none')),
      readFile: () => '',
    },
    open: ({ name }) =>
      name === 'broken'
        ? Promise.reject(new Error('it cannot be opened'))
        : Promise.resolve((name === 'one' ? one : other).sink()),
    journal,
    routers: () => new Set(['r1']),
    beat: () => heartbeat,
    heldUntilMs: () => undefined,
  })
  await journal.append(transition('r1')).durable
  await until('the other has it', () => other.heard.length > 0)
  await until('the one has failed', () => {
    const { status } = reporting.status[0] ?? {}
    return typeof status === 'object' && status.lastError === 'not today'
  })
  expect(reporting.status[2]).toEqual({ name: 'broken', type: 'webhook', status: 'it cannot be opened' })
})
