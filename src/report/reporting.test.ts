import { expect, test } from 'vitest'
import { testJournal, transition } from '../../test/support/journal.ts'
import { farEnd, heartbeat } from '../../test/support/far-end.ts'
import { until } from '../../test/support/until.ts'
import { Reporting, type ReportingParts } from './reporting.ts'
import type { WebhookSettings } from './settings.ts'

const settings = (name: string): WebhookSettings => ({
  ...{ type: 'webhook', name, delivery: 'latest', repeatMs: 60_000, caFile: undefined, clientCertificate: undefined },
  ...{ url: 'https://h/', secret: { kind: 'file', path: '/s' }, allowNetworks: [] },
  filter: { routers: undefined, kinds: undefined, roles: undefined },
})

const tools = {
  ...{ agent: 'host1', version: '0.1.0', readFile: () => '' },
  readSecret: () => Promise.reject(new Error('none')),
}
const rest = { routers: () => new Set(['r1']), beat: () => heartbeat, heldUntilMs: () => undefined }

test('Reporting tells each sink what another one does not take, and says why one has not begun', async () => {
  await using store = testJournal()
  const journal = await store.open()
  const [one, other] = [farEnd(), farEnd()]
  one.answer = () => Promise.reject(new Error('not today'))
  await using reporting = new Reporting({
    settings: ['one', 'other', 'broken'].map(settings),
    tools,
    open: ({ name }) =>
      name === 'broken'
        ? Promise.reject(new Error('it cannot be opened'))
        : Promise.resolve((name === 'one' ? one : other).sink()),
    journal,
    ...rest,
  })
  await journal.append(transition('r1')).durable
  await until('the other has it', () => other.heard.length > 0)
  await until('the one has failed', () => {
    const { status } = reporting.status[0] ?? {}
    return typeof status === 'object' && status.lastError === 'not today'
  })
  expect(reporting.status[2]).toEqual({ name: 'broken', type: 'webhook', status: 'it cannot be opened' })
})

test('Reporting says what a sink that has not begun waits for', async () => {
  await using store = testJournal()
  const opened = await store.open()
  const [loaded, asked] = [Promise.withResolvers<undefined>(), Promise.withResolvers<number>()]
  // As of a disk that does not answer.
  const journal: ReportingParts['journal'] = {
    ...{ newest: opened.newest, status: opened.status, cursor: () => asked.promise },
    read: (query) => opened.read(query),
    subscribe: (query) => opened.subscribe(query),
    keepCursor: (name, seq) => opened.keepCursor(name, seq),
  }
  const far = farEnd()
  const open = () => loaded.promise.then(() => far.sink())
  await using reporting = new Reporting({ settings: [settings('one')], tools, open, journal, ...rest })
  const [before] = reporting.status
  expect(before?.status).toBe('its client is being loaded')
  loaded.resolve(undefined)
  await until(
    'the journal is asked',
    () => reporting.status[0]?.status === 'the journal has not said yet how far it has come',
  )
  asked.resolve(0)
  await until('it has begun', () => typeof reporting.status[0]?.status === 'object')
})
