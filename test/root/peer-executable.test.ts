import { spawn } from 'node:child_process'
import { chmodSync, closeSync, copyFileSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { descriptorPair, nextDescriptor, sendDescriptor } from '../../src/linux/descriptor.ts'
import { connectionOf, executableBehind, executableByPid, executableOfPeer } from '../../src/linux/peer-executable.ts'
import { peerOf } from '../../src/linux/unix-socket.ts'

let directory: string
let server: Server
beforeEach(async () => {
  directory = mkdtempSync('/tmp/kwt-exe-')
  server = createServer().listen(join(directory, 'socket'))
  await once(server, 'listening')
  chmodSync(directory, 0o755)
  chmodSync(join(directory, 'socket'), 0o666)
})
afterEach(() => {
  server.close()
  rmSync(directory, { recursive: true })
})

/** A program of its own name that connects, and stays until it is told. */
async function stranger(name: string) {
  const path = join(directory, name)
  copyFileSync(realpathSync(process.execPath), path)
  const connects = `require('node:net').connect(${JSON.stringify(join(directory, 'socket'))}).on('error', () => process.exit())`
  const child = spawn(path, ['-e', connects], { stdio: 'ignore', uid: 65_534, gid: 65_534 })
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => undefined)
  return {
    path,
    socket,
    child,
    async [Symbol.asyncDispose]() {
      socket.destroy()
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

test('executableBehind() says what the process at the other end runs, and how sure that is', async () => {
  await using it = await stranger('some program')
  const peer = peerOf(it.socket, 'without-groups')
  expect(executableOfPeer(peer)).toEqual({ path: it.path, by: 'connection' })
  expect(executableByPid(connectionOf(peer) ?? -1), 'on an older kernel').toEqual({ path: it.path, by: 'pid' })
})

test('executableBehind() of a process that has ended, or a connection that is closed, is not known', async () => {
  await using it = await stranger('short')
  const peer = peerOf(it.socket, 'without-groups')
  it.child.kill('SIGKILL')
  await once(it.child, 'exit')
  expect(executableBehind(connectionOf(peer) ?? -1)).toBeUndefined()
  it.socket.destroy()
  expect([connectionOf(peer), executableOfPeer(peer)]).toEqual([undefined, undefined])
})

test('executableBehind() of what is no Unix socket is not known', async () => {
  const tcp = createServer().listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const fds = [openSync('/dev/null', 'r'), openSync('/proc/self/status', 'r')]
  expect([...fds, 999_999].map(executableBehind)).toEqual([undefined, undefined, undefined])
  fds.forEach(closeSync)
  tcp.close()
})

test('a connection that is handed over is the same there, after it was closed here', async () => {
  await using it = await stranger('handed')
  const { ours, theirs } = descriptorPair()
  expect(nextDescriptor(ours)).toBeUndefined()
  sendDescriptor(theirs, connectionOf(peerOf(it.socket, 'without-groups')) ?? -1)
  it.socket.destroy()
  const fd = nextDescriptor(ours) ?? -1
  expect(executableBehind(fd)).toEqual({ path: it.path, by: 'connection' })
  closeSync(theirs)
  expect(nextDescriptor(ours), 'the other end is gone').toBeUndefined()
  ;[fd, ours].forEach(closeSync)
})
