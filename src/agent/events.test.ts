import { pino } from 'pino'
import { expect, test } from 'vitest'
import { KeepwardError } from '../base/error.ts'
import { ConfigError } from '../config/problem.ts'
import { refusalBody } from './claim-record.ts'
import { makeChronicle } from './events.ts'
import { makeMetrics } from './metrics.ts'

function heard() {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>)
  const metrics = makeMetrics()
  return { lines, metrics, chronicle: makeChronicle(pino({ base: null, timestamp: false }, { write }), metrics) }
}

const sender = { pid: 9, uid: 1000, gid: 1000, groups: [] }
const refused = {
  decision: 'refused',
  reason: 'sender-refused',
  sender,
  controlGroup: '/a\u001b[2J',
  count: 3,
} as const
const nothing = { router: undefined, state: undefined, key: undefined }

test('claimRefused() logs what the sender said as fields, escaped, and counts by reason', async () => {
  const { lines, metrics, chronicle } = heard()
  chronicle.claimRefused(refusalBody({ ...refused, ...nothing, state: 'primary' }, { path: '/x\n/curl', by: 'pid' }))
  chronicle.claimRefused(refusalBody({ ...refused, ...nothing, count: 1 }, undefined))
  expect(lines[0]).toEqual({
    level: 40,
    decision: 'refused',
    reason: 'sender-refused',
    router: null,
    state: 'primary',
    uid: 1000,
    gid: 1000,
    pid: 9,
    key: null,
    controlGroup: '/a\\u{1b}[2J',
    executable: '/x\\u{a}/curl',
    executableBy: 'pid',
    count: 3,
    msg: 'state change refused',
  })
  expect((await metrics.claimRefusals.get()).values).toMatchObject([{ labels: { reason: 'sender-refused' }, value: 4 }])
})

test('claimRefused() of the socket made anew counts under its own name, whatever the reason says', async () => {
  const { lines, metrics, chronicle } = heard()
  const anew = { decision: 'socket-made-anew', reason: 'the socket was removed', count: 1 } as const
  chronicle.claimRefused(refusalBody({ ...anew, ...nothing, sender: undefined, controlGroup: undefined }, undefined))
  expect(lines[0]).toMatchObject({ reason: 'the socket was removed', uid: null, msg: 'state-change socket made anew' })
  expect((await metrics.claimRefusals.get()).values).toMatchObject([{ labels: { reason: 'socket-made-anew' } }])
})

test('claimTaken() counts messages, and writes no line', async () => {
  const { lines, metrics, chronicle } = heard()
  chronicle.claimTaken('gathered', 7)
  chronicle.claimTaken('accepted', 1)
  expect(lines).toEqual([])
  expect((await metrics.claims.get()).values).toMatchObject([
    { labels: { decision: 'gathered' }, value: 7 },
    { labels: { decision: 'accepted' }, value: 1 },
  ])
})

test('configRefused() says why with every cause, and nothing that the config holds', () => {
  const { lines, chronicle } = heard()
  const cause = new KeepwardError(
    'packet-filter-refused',
    'nft does not take it: /dev/stdin:2:3-7: Error: syntax error\n  tcp dport 4711 acept\n  ^^^^^',
  )
  const filter = 'The packet filter /etc/r1.nft of router r1 is refused'
  chronicle.configRefused(new KeepwardError('packet-filter-refused', filter, { cause }), 'd')
  const message = 'is 300, must be a whole number from 1 to 255'
  const invalid = new ConfigError('agent.yaml', [{ line: 3, column: 7, path: 'routers[0].vrid', message }])
  chronicle.configRefused(invalid, 'd')
  chronicle.configRefused(new KeepwardError('config-invalid', invalid.message), 'd')
  const msg = 'config refused; the one before stays in force'
  const why = `${filter}: nft does not take it: /dev/stdin:2:3-7: Error: syntax error`
  expect(lines).toEqual([
    { level: 50, code: 'packet-filter-refused', digest: 'd', text: why, msg },
    { level: 50, code: 'config-invalid', digest: 'd', at: ['3:7'], msg },
    { level: 50, code: 'config-invalid', digest: 'd', msg },
  ])
})
