import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AgentStatus, EventView, Explanation, PlanAnswer } from '../agent/api.ts'

const entry = join(import.meta.dirname, '..', 'cmd', 'keepward.ts')
const home = mkdtempSync(join(tmpdir(), 'kwt-print-'))
const socket = join(home, 'control.sock')

const hostile = 'it said \u001b[2J\u001b]0;x\u0007\b\r\u009b1A\u202e\u2066'
const shown = 'it said \\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{8}\\u{d}\\u{9b}1A\\u{202e}\\u{2066}'
const asJson = 'it said \\u001b[2J\\u001b]0;x\\u0007\\b\\r\\u009b1A\\u202e\\u2066'

const condition = { code: 'hook-failed', severity: 'warning', text: hostile, title: '', hint: '', sinceMs: 0 } as const
const router = {
  id: 'r1',
  role: 'primary',
  sinceMs: 0,
  heldMs: 0,
  asOfMs: 0,
  ageMs: 0,
  stale: false,
  recorded: true,
  cause: '',
  vrid: 7,
  priority: 100,
  namespace: 'keepward-r1',
  conditions: [condition],
} satisfies AgentStatus['routers'][number]
const record: EventView = {
  seq: 1,
  kind: 'condition',
  agent: 'a',
  epoch: { journal: 'j', start: 1 },
  boot: 'b',
  at: { wallMs: 0, monoMs: 0 },
  late: false,
  body: { code: 'hook-failed', change: 'raised', text: hostile },
  previous: '0',
  hash: '1',
}
const agent = { id: 'a', version: '1', pid: 1, startedMs: 0, boot: 'b', journal: 'j', start: 1, configDigest: 'd' }
const status: AgentStatus = {
  agent,
  asOfMs: 0,
  health: 'healthy',
  conditions: [],
  journal: { state: 'ok', durableSeq: 1, pending: 0, lost: 0, retainedFromSeq: 1, sizeBytes: 1 },
  routers: [router],
  sinks: [],
  claims: [],
}
const explanation: Explanation = {
  status: router,
  evidence: [{ what: 'hook: /x', found: hostile }],
  waiting: [],
  last: [record],
}
const plan: PlanAnswer = {
  configDigest: 'd',
  routers: [{ router: 'r1', change: 'change', config: [{ path: 'priority', after: hostile }], steps: [], waiting: [] }],
  movesRole: false,
  sections: [],
  restartFor: [],
}
const refusal = { code: 'packet-filter-refused', message: hostile, hint: '' }

const server = createServer(({ url = '', method }, response) => {
  const answers = { status, routers: explanation, events: [record], plan }
  if (method === 'POST') response.statusCode = 422
  response.end(JSON.stringify(method === 'POST' ? refusal : answers[url.split(/[/?]/)[2] as keyof typeof answers]))
})

beforeAll(() => new Promise<void>((done) => server.listen(socket, done)))
afterAll(() => {
  server.close()
  rmSync(home, { recursive: true })
})

const said = (words: readonly string[]): Promise<string> =>
  new Promise((done) => {
    const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined }
    execFile(process.execPath, [entry, '--socket', socket, ...words], { timeout: 15_000, env }, (_error, out, err) => {
      done(out + err)
    })
  })

const commands = ['status', 'explain r1', 'events', 'plan', 'apply']

test.each(commands)('%s lets nothing that others said move the terminal', async (words) => {
  const text = await said(words.split(' '))
  expect(text).toContain(shown)
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}]/u)
})

test.each(commands.slice(0, 4))('%s --json says the same in escapes of JSON', async (words) => {
  const text = await said(['--json', ...words.split(' ')])
  expect(text).toContain(asJson)
  expect(text.trimEnd()).not.toMatch(/[\p{C}]/u)
  expect(JSON.stringify(JSON.parse(text))).toContain(JSON.stringify(hostile).slice(1, -1))
})
