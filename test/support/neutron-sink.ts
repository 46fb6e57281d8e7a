import { readFileSync } from 'node:fs'
import { Secret } from '../../src/base/secret.ts'
import type { JournalRecord } from '../../src/journal/record.ts'
import { openNeutronSink } from '../../src/report/neutron/sink.ts'
import type { Report } from '../../src/report/report.ts'
import type { NeutronSettings } from '../../src/report/settings.ts'
import type { Sink, SinkState } from '../../src/report/sink.ts'
import { brokerUser } from './rabbitmq.ts'
import { until } from './until.ts'

export interface SinkUnderTest extends AsyncDisposable {
  readonly sink: Sink
  readonly states: readonly SinkState[]
  readonly state: SinkState | undefined
  /** It can be sent to. */
  there(deadlineMs?: number): Promise<unknown>
  /** Its trouble says so. */
  trouble(text: RegExp, deadlineMs?: number): Promise<unknown>
}

export interface Choices extends Partial<NeutronSettings> {
  /** Asked for each connection. */
  readonly readPassword?: () => Promise<string>
}

export function neutronSink({ readPassword, ...choices }: Choices): SinkUnderTest {
  const settings: NeutronSettings = {
    ...{ type: 'neutron', name: 'neutron', delivery: 'latest', repeatMs: 60_000 },
    ...{ caFile: undefined, clientCertificate: undefined },
    ...{ brokers: [], virtualHost: '/', user: brokerUser.user, password: { kind: 'file', path: '/password' } },
    ...{ plaintext: false, host: 'network-1', method: 'call', exchange: 'neutron', topic: 'q-l3-plugin' },
    ...{ replyQueue: 'transient', primaryDelayMs: 2000 },
    ...choices,
  }
  const sink = openNeutronSink(settings, {
    agent: 'agent-1',
    version: '0.1.0',
    // As a source of secrets gives it.
    readSecret: async (source) =>
      source.kind === 'file' && source.path.endsWith('.key')
        ? Secret.line(readFileSync(source.path, 'utf8'))
        : Secret.line(await (readPassword?.() ?? Promise.resolve(brokerUser.password))),
    readFile: (path) => readFileSync(path, 'utf8'),
  })
  const states: SinkState[] = []
  sink.onState((state) => states.push(state))
  return {
    ...{ sink, states },
    get state() {
      return states.at(-1)
    },
    there: (deadlineMs) =>
      until(
        'the sink can be sent to',
        () => {
          const { trouble, isTried } = states.at(-1) ?? {}
          if (trouble !== undefined && isTried !== true) throw new Error(trouble.text)
          return true
        },
        deadlineMs,
      ),
    trouble: (text, deadlineMs) =>
      until(
        `the sink says ${String(text)}`,
        () => {
          const said = states.at(-1)?.trouble?.text ?? ''
          if (!text.test(said)) throw new Error(said)
          return true
        },
        deadlineMs,
      ),
    [Symbol.asyncDispose]: () => sink.close(),
  }
}

export const routerOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

let seq = 0

export function reportOf(router: string, to: string, more: Partial<Report> = {}): Report {
  seq += 1
  return { router, record: recordOf(router, seq, to), fromSeq: seq, isRepeat: false, ...more }
}

export const recordOf = (router: string, at: number, to: string): JournalRecord => ({
  ...{
    kind: 'transition',
    router,
    at: { wallMs: at, monoMs: at },
    body: { from: 'unknown', to },
    seq: at,
    routerSeq: at,
  },
  ...{ agent: 'agent-1', epoch: { journal: '0'.repeat(32), start: 1 }, boot: 'boot1', late: false },
  ...{ previous: '0'.repeat(64), hash: '1'.repeat(64) },
})
