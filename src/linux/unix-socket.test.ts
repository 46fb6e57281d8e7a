import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { lockDirectory } from './lock.ts'
import { native } from './native.ts'
import { run } from './run.ts'
import { SafeDir } from './safe-dir.ts'
import { listenAt, peerOf, proveWhoConnects, removeStaleSocket } from './unix-socket.ts'

let dir: SafeDir
const servers: Server[] = []

beforeEach(() => {
  dir = SafeDir.open(mkdtempSync('/tmp/kwt-sock-'))
})

afterEach(() => {
  vi.restoreAllMocks()
  for (const server of servers.splice(0)) server.close()
  dir.close()
  rmSync(dir.path, { recursive: true, force: true })
})

const server = (): Server => {
  const made = createServer()
  servers.push(made)
  return made
}

describe('peerOf()', () => {
  test('proveWhoConnects() passes', async () => {
    await proveWhoConnects()
  })

  test('proveWhoConnects() refuses a kernel that names another than who connected', async () => {
    vi.spyOn(native(), 'peerCredentials').mockImplementation((_fd, into) => {
      into.set([process.pid, 4242, 0])
      return 3
    })
    await expect(proveWhoConnects()).rejects.toMatchObject({
      code: 'permission-denied',
      message: `The kernel says that we are pid ${process.pid}, uid 4242`,
    })
  })

  test('refuses a TCP connection, for which the kernel would say uid -1', async () => {
    const tcp = server().listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const bound = tcp.address()
    if (bound === null || typeof bound === 'string') throw new Error('no port')
    const client = connect(bound.port, '127.0.0.1')
    const [accepted] = (await once(tcp, 'connection')) as [Socket]
    expect(() => peerOf(accepted, 'with-groups')).toThrow('The kernel does not say who a connection is from')
    client.destroy()
    accepted.destroy()
  })

  test('refuses a connection that is gone', async () => {
    const unix = server()
    await listenAt(unix, dir, 'socket', { mode: 0o600 })
    const client = connect(dir.pathOf('socket'))
    const [accepted] = (await once(unix, 'connection')) as [Socket]
    accepted.destroy()
    expect(() => peerOf(accepted, 'with-groups')).toThrow('no descriptor')
    client.destroy()
  })
})

describe('listenAt()', () => {
  test('makes the socket with the mode asked and leaves the umask alone', async () => {
    const before = process.umask(0o022)
    await listenAt(server(), dir, 'socket', { mode: 0o660 })
    expect(process.umask(before)).toBe(0o022)
    expect((statSync(dir.pathOf('socket')).mode & 0o777).toString(8)).toBe('660')
  })

  test('does not go on listening at a socket that did not get the mode asked', async () => {
    const made = server()
    vi.spyOn(process, 'umask').mockReturnValue(0)
    await expect(listenAt(made, dir, 'socket', { mode: 0o600 })).rejects.toMatchObject({
      code: 'file-unsafe',
      message: expect.stringContaining('has not the owner and mode wanted') as string,
    })
    expect(made.listening).toBe(false)
    expect(await dir.list()).toEqual([])
  })

  test('takes the place of a socket that a killed process left', async () => {
    const code = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
    await run([process.execPath, '-e', code, dir.pathOf('socket')]).catch(() => undefined)
    expect(statSync(dir.pathOf('socket')).isSocket()).toBe(true)
    await listenAt(server(), dir, 'socket', { mode: 0o600 })
  })

  test('refuses when somebody answers there', async () => {
    await listenAt(server(), dir, 'socket', { mode: 0o600 })
    await expect(listenAt(server(), dir, 'socket', { mode: 0o600 })).rejects.toMatchObject({ code: 'state-in-use' })
  })

  test('leaves a file that is no socket alone', async () => {
    writeFileSync(dir.pathOf('socket'), 'theirs')
    await expect(listenAt(server(), dir, 'socket', { mode: 0o600 })).rejects.toMatchObject({ code: 'file-unsafe' })
    await expect(removeStaleSocket(dir, 'socket')).rejects.toMatchObject({ code: 'file-unsafe' })
    expect(readFileSync(dir.pathOf('socket'), 'utf8')).toBe('theirs')
  })

  test('refuses a path that a socket address cannot hold', async () => {
    await expect(listenAt(server(), dir, 's'.repeat(100), { mode: 0o600 })).rejects.toThrow('longer than a socket')
  })
})

describe('lockDirectory()', () => {
  const script = `
    import { SafeDir } from '${import.meta.dirname}/safe-dir.ts'
    import { lockDirectory } from '${import.meta.dirname}/lock.ts'
    try { lockDirectory(SafeDir.open(process.argv[1])); console.log('locked') } catch (error) { console.log(error.code, error.message) }`
  const other = async () =>
    (await run([process.execPath, '--input-type=module-typescript', '-e', script, dir.path])).stdout

  test('lets a second process in only when the first is done', async () => {
    const lock = lockDirectory(dir)
    expect(await other()).toBe(`state-in-use Another process (pid ${process.pid}) uses ${dir.path}\n`)
    lock.release()
    expect(await other()).toBe('locked\n')
    lockDirectory(dir).release()
  })

  test('is not kept by what we start', async () => {
    const lock = lockDirectory(dir)
    const sleeping = run(['sleep', '0.5'])
    lock.release()
    expect(await other()).toBe('locked\n')
    await sleeping
  })
})
