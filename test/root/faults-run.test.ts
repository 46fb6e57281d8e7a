import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EventView } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { buildShim, FaultHost, run, type Kind } from '../support/faults/host.ts'
import { runRows, type Errno, type Provocation, type RunRow } from '../support/faults/rows.ts'
import { staysSo, until } from '../support/until.ts'

let directory = ''
const hosts = new Map<Kind, FaultHost>()

beforeAll(async () => {
  directory = mkdtempSync('/tmp/kwfs-')
  const shim = buildShim(directory)
  await Promise.all(
    (['one', 'two'] as const).map(async (kind) => {
      const host = FaultHost.make(kind, shim)
      hosts.set(kind, host)
      host.stateOnTmpfs('4m')
      host.withRouter()
      await host.up()
      await until('the router is primary', () => isWell(host), 20_000)
    }),
  )
})
afterAll(async () => {
  await Promise.all([...hosts.values()].map((host) => host.end()))
  rmSync(directory, { recursive: true, force: true })
})

const isWell = async (host: FaultHost): Promise<boolean> =>
  (await host.conditions()).length === 0 && (await host.router()).role === 'primary'

const kindOf = (who: RunRow['who'][number]): Kind => (who === 'root agent' ? 'one' : 'two')

/** What was recorded of its role. */
async function rolesOf(host: FaultHost): Promise<readonly string[]> {
  const events = await callAt<EventView[]>(host.socket, 'GET', '/v1/events?limit=1000&router=r1')
  return events.filter(({ kind }) => kind === 'transition').map(({ body }) => String(body['to']))
}

describe.each(runRows)('$call of $where', (row) => {
  test.each(row.errnos)(`fails with %s: ${row.shown}`, async (errno) => {
    await Promise.all(row.who.map((who) => tryRow(hostOf(kindOf(who)), row, errno)))
  })
})

async function tryRow(host: FaultHost, row: RunRow, errno: Errno): Promise<void> {
  const before = await rolesOf(host)
  host.fail({ call: row.call, errno, on: row.on }, ...also(row))
  await provoke(host, row.provoked)
  if (row.shown === 'nothing') await staysSo('nothing is shown', () => isWell(host), 1200)
  else await shows(host, row.shown)
  // A keepalived that was killed is no primary any more, whatever failed.
  const stays = row.provoked !== 'kill keepalived'
  if (stays) await until('it is primary still', async () => (await host.router()).role === 'primary')
  host.fail()
  await undo(host, row.provoked)
  await until('it is over', () => isWell(host), 25_000)
  if (stays) expect((await rolesOf(host)).slice(before.length)).toEqual([])
}

async function shows(host: FaultHost, wanted: string): Promise<void> {
  let seen: string[] = []
  await until(wanted, async () => (seen = await host.conditions()).includes(wanted)).catch((error: unknown) => {
    throw new Error(`It shows ${seen.join()}`, { cause: error })
  })
}

// The same by faults that are real.

test.each(['one', 'two'] as const)('a file system of the journal that is full, of the kind %s', async (kind) => {
  const host = hostOf(kind)
  const ballast = join(host.home, 'state', 'ballast')
  fill(ballast)
  await send(host)
  await shows(host, 'journal-unavailable')
  expect((await host.router()).role).toBe('primary')
  rmSync(ballast)
  await until('it is over', () => isWell(host))
  const { journal } = await host.status()
  expect([journal.state, journal.lost]).toEqual(['ok', 0])
})

test.each(['one', 'two'] as const)('no descriptor is left to any process, of the kind %s', async (kind) => {
  const host = hostOf(kind)
  const before = await rolesOf(host)
  const pids = host.pids
  host.allowDescriptors(8)
  expect(await send(host)).toBe('')
  await pause(1500)
  host.allowDescriptors(1024)
  await until('it is over', () => isWell(host), 25_000)
  expect(host.pids).toEqual(pids)
  expect((await rolesOf(host)).slice(before.length)).toEqual([])
  expect(await send(host)).toBe('HTTP/1.1 200 OK')
})

test.each(['one', 'two'] as const)(
  'the wall clock is set forward by years, then back, of the kind %s',
  async (kind) => {
    const host = hostOf(kind)
    const before = await rolesOf(host)
    const { sinceMs } = await host.router()
    const retainedFromSeq = (await host.status()).journal.retainedFromSeq
    for (const [seconds, says] of [
      [2 ** 28, 'forward'],
      [-86_400, 'back'],
    ] as const) {
      host.setClock(seconds)
      await until(says, async () => (await host.status()).conditions.some((one) => one.text.includes(says)))
      expect(await host.conditions()).toEqual(['clock-stepped'])
      expect(await host.router()).toMatchObject({ role: 'primary', stale: false, sinceMs })
      expect(await send(host)).toBe('HTTP/1.1 200 OK')
    }
    expect((await rolesOf(host)).slice(before.length)).toEqual([])
    expect((await host.status()).journal).toMatchObject({ state: 'ok', retainedFromSeq })
    expect(await callAt(host.socket, 'GET', '/v1/verify')).toMatchObject({ ok: true })
    host.setClock(0)
  },
)

/** Until not one byte more is taken. */
function fill(file: string): void {
  for (let size = 2 ** 16; size >= 1;) {
    try {
      appendFileSync(file, Buffer.alloc(size))
    } catch {
      size = Math.floor(size / 2)
    }
  }
}

/** A line of the log is written when a condition is raised. */
const also = ({ on }: RunRow) => (on === 'pipe:' ? [{ call: 'write', errno: 'EIO', on: '.anchors' } as const] : [])

function hostOf(kind: Kind): FaultHost {
  const found = hosts.get(kind)
  if (found === undefined) throw new Error(`There is no host of kind ${kind}`)
  return found
}

async function provoke(host: FaultHost, what: Provocation): Promise<void> {
  switch (what) {
    case 'message':
      await send(host)
      break
    case 'apply':
      await apply(host)
      break
    case 'change':
      edit(host, /priority: \d+/, `priority: ${String(100 + (++edits % 100))}`)
      await apply(host)
      break
    case 'kill keepalived':
      for (const pid of run('ip', 'netns', 'pids', host.routerNamespace).split('\n').filter(Boolean))
        process.kill(Number(pid), 'SIGKILL')
      break
    case 'remove socket':
      rmSync(join(host.home, 'state', 'keepalived-state-change'))
      break
    case 'restart agent':
      await host.stop('agent')
      host.start('agent')
      await until('the agent answers', () => host.status())
      break
  }
}

let edits = 0

function edit(host: FaultHost, what: RegExp, by: string): void {
  const file = join(host.home, 'agent.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(what, by))
}

/** What is not tried again by itself, or not soon. */
async function undo(host: FaultHost, what: Provocation): Promise<void> {
  if (what === 'apply' || what === 'change') await apply(host)
  if (what === 'restart agent') await provoke(host, what)
}

const apply = (host: FaultHost): Promise<unknown> => callAt(host.socket, 'POST', '/v1/apply').catch(() => undefined)

/** What a monitor says; it is written down. Resolves with the status line, or '' when there is none within a moment. */
function send(host: FaultHost): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(join(host.home, 'state', 'keepalived-state-change'))
    const end = (text: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    const timer = setTimeout(end, 500, '')
    socket.on('error', () => {
      end('')
    })
    socket.on('data', (data: Buffer) => {
      end(data.toString('latin1').split('\r\n')[0] ?? '')
    })
    socket.write('POST / HTTP/1.1\r\nx-neutron-router-id: r1\r\nx-neutron-state: primary\r\n\r\n')
  })
}
