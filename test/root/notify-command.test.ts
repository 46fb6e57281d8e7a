import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The program as it is installed: bin/keepward and the bundle, against a server that answers as told. */
const program = join(import.meta.dirname, '..', '..', 'bin', 'keepward')
const state = mkdtempSync(join(tmpdir(), 'kwt-notify-bin-'))
let answer = ''
const server = createServer((socket) => {
  socket.on('error', () => undefined)
  socket.once('data', () => socket.end(answer))
})

beforeAll(async () => {
  writeFileSync(join(state, 'state-change.key'), `${'ab'.repeat(32)}\n`)
  server.listen(join(state, 'keepalived-state-change'))
  await once(server, 'listening')
})
afterAll(() => {
  server.close()
  rmSync(state, { recursive: true })
})

/** Exit status, standard output, standard error. */
const run = (file: string, ...words: string[]) =>
  new Promise<readonly [number, string, string]>((resolve) => {
    execFile(file, words, { timeout: 30_000 }, (error, stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stdout, stderr])
    })
  })

test.each([
  { status: '200 OK', ends: 0, says: 'r1 primary: delivered\n' },
  { status: '409 Conflict', ends: 0, says: 'r1 primary: superseded by a newer message\n' },
  { status: '403 Forbidden', ends: 1, says: 'r1 primary: refused: HTTP 403\n' },
  { status: '503 Unavailable', ends: 3, says: 'r1 primary: not delivered within 0.3 s: HTTP 503\n' },
])('bin/keepward notify ends with $ends after $status', async ({ status, ends, says }) => {
  answer = `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
  const words = ['notify', 'r1', 'primary', '--state', state, '--deadline', '0.3']
  expect(await run(program, ...words)).toEqual([ends, says, ''])
})

test.each([
  { words: ['notify', 'r1'], ends: 64, says: "missing required argument 'state'" },
  { words: ['notify', 'r1', 'primary', '--state', '/nowhere'], ends: 4, says: 'There is no key file' },
])('bin/keepward $words ends with $ends', async ({ words, ends, says }) => {
  expect(await run(program, ...words)).toEqual([ends, '', expect.stringContaining(says)])
})

/** User and system, in seconds a call. */
async function cpuOf(call: string, ...words: readonly string[]): Promise<number> {
  const calls = 20
  // The second line of `times` is what the shell's children took, user and system: 0m1.234s 0m0.567s.
  const loop = `i=0; while [ $i -lt ${String(calls)} ]; do ${call} >&2 || exit; i=$((i + 1)); done; times`
  const [status, stdout] = await run('sh', '-c', loop, ...words)
  expect(status).toBe(0)
  const seconds = [...(stdout.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, rest]) => Number(minutes) * 60 + Number(rest),
  )
  expect(seconds).toHaveLength(2)
  return ((seconds[0] ?? NaN) + (seconds[1] ?? NaN)) / calls
}

test('bin/keepward notify takes at most 60 ms of CPU a call, or 2.5 times what Node.js alone takes here', async () => {
  answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
  const own = await cpuOf('"$0" notify r1 primary --state "$1"', program, state)
  // Where others keep the processor's other half busy, everything takes more of it: Node.js alone, of which a call is made, too.
  const bare = await cpuOf('"$0" -e 0', process.execPath)
  expect(own).toBeLessThanOrEqual(Math.max(0.06, 2.5 * bare))
})
