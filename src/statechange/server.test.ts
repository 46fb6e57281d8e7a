import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { exchange, request, TestServer, verdict } from '../../test/support/state-change.ts'
import { proveUidMap } from './server.ts'

const modeOf = (path: string) => (lstatSync(path).mode & 0o7777).toString(8)
const gid = process.getegid?.() ?? 0

test.each([
  [{ kind: 'own' }, '600'],
  [{ kind: 'group', gid }, '660'],
  [{ kind: 'everyone' }, '666'],
] as const)('the socket for %o has mode %s', async (access, mode) => {
  await using it = await TestServer.start({ access })
  expect(modeOf(it.path)).toBe(mode)
  expect(modeOf(it.directory)).toBe(access.kind === 'own' ? '700' : '711')
})

test.each<readonly [what: string, does: (path: string) => void]>([
  [
    'removed',
    (path) => {
      rmSync(path)
    },
  ],
  [
    'moved away',
    (path) => {
      renameSync(path, `${path}.away`)
    },
  ],
  [
    'replaced by a file',
    (path) => {
      rmSync(path)
      writeFileSync(path, 'not a socket')
    },
  ],
  [
    'replaced by a link',
    (path) => {
      rmSync(path)
      symlinkSync('/dev/null', path)
    },
  ],
  [
    'opened to all',
    (path) => {
      chmodSync(path, 0o666)
    },
  ],
])('a socket that is %s is made anew within a second, and that is written down', async (_, does) => {
  await using it = await TestServer.start()
  const [head, tail] = [request().slice(0, 20), request().slice(20)]
  const underWay = exchange(it.path, [head, tail], { pauseMs: 1500 })
  await new Promise((done) => setTimeout(done, 50))
  does(it.path)
  await vi.waitFor(
    () => {
      expect(it.audited).toMatchObject([{ decision: 'socket-made-anew' }])
    },
    { timeout: 1000, interval: 20 },
  )
  expect(modeOf(it.path)).toBe('600')
  expect(verdict(await exchange(it.path, request()))).toBe('200')
  expect(verdict(await underWay)).toBe('200')
  rmSync(`${it.path}.away`, { force: true })
})

test('what cannot be replaced is trouble, told until it is gone', async () => {
  await using it = await TestServer.start()
  rmSync(it.path)
  mkdirSync(it.path)
  await vi.waitFor(() => {
    expect(it.troubles.at(-1)).toContain(it.path)
  })
  rmSync(it.path, { recursive: true })
  await vi.waitFor(() => {
    expect(it.troubles.at(-1)).toBeUndefined()
  })
  expect(verdict(await exchange(it.path, request()))).toBe('200')
})

test('proveUidMap() takes the initial user namespace only', () => {
  expect(() => {
    proveUidMap('         0          0 4294967295\n')
  }).not.toThrow()
  for (const map of ['', '0 1000 1\n', '0 100000 65536\n', '0 0 65536\n1000 1000 1\n', '0 0 4294967294\n']) {
    expect(() => {
      proveUidMap(map)
    }).toThrow('This user namespace does not map every user to itself')
  }
})
