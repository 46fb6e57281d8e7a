import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectForDescriptors } from '../../src/linux/descriptor.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { listenAt, peerOf } from '../../src/linux/unix-socket.ts'

let dir: SafeDir
beforeEach(() => {
  const path = mkdtempSync('/tmp/kwt-peer-')
  chmodSync(path, 0o755)
  dir = SafeDir.open(path, { mode: 0o755 })
})
afterEach(() => {
  dir.close()
  rmSync(dir.path, { recursive: true, force: true })
})

/** connect(2) as somebody else: the kernel keeps who that was. */
function connectAs(uid: number, gid: number, groups: number[]): Socket {
  const before = process.getgroups?.() ?? []
  process.setgroups?.(groups)
  process.setegid?.(gid)
  process.seteuid?.(uid)
  try {
    return connect(dir.pathOf('socket'))
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(before)
  }
}

test('connectForDescriptors() says whose a socket is that does not let us in', async () => {
  const server = createServer()
  await listenAt(server, dir, 'socket', { mode: 0o600 })
  let refused: Promise<unknown>
  process.seteuid?.(1234)
  try {
    refused = connectForDescriptors(dir.pathOf('socket'), 0, 1, 1000)
    refused.catch(() => undefined)
  } finally {
    process.seteuid?.(0)
  }
  await expect(refused).rejects.toMatchObject({
    code: 'host-unreachable',
    message: `${dir.pathOf('socket')} is of uid 0, mode 600, and we are uid 1234`,
  })
  server.close()
})

describe('peerOf()', () => {
  test('says who connected, groups included', async () => {
    const server = createServer()
    await listenAt(server, dir, 'socket', { mode: 0o666 })
    try {
      for (const [uid, gid, groups] of [
        [1234, 5678, [42, 43]],
        [65534, 65534, []],
        [0, 0, [0]],
        [1234, 5678, Array.from({ length: 1000 }, (_, at) => 10_000 + at)],
      ] as const) {
        const client = connectAs(uid, gid, [...groups])
        const [accepted] = (await once(server, 'connection')) as [Socket]
        expect(peerOf(accepted, 'with-groups')).toEqual({ pid: process.pid, uid, gid, groups })
        client.destroy()
        accepted.destroy()
      }
    } finally {
      server.close()
    }
  })

  test('listenAt() lets nobody in that the mode does not', async () => {
    const server = createServer()
    await listenAt(server, dir, 'socket', { mode: 0o660, gid: 5678 })
    try {
      const stranger = connectAs(1234, 1234, [])
      const [error] = (await once(stranger, 'error')) as [Error]
      expect(error).toMatchObject({ code: 'EACCES' })
      const member = connectAs(1234, 1234, [5678])
      const [accepted] = (await once(server, 'connection')) as [Socket]
      expect(peerOf(accepted, 'with-groups')).toEqual({ pid: process.pid, uid: 1234, gid: 1234, groups: [5678] })
      member.destroy()
      accepted.destroy()
    } finally {
      server.close()
    }
  })

  test('SafeDir.open() refuses a directory that belongs to another user, on the way and at the end', async () => {
    const { chownSync, mkdirSync } = await import('node:fs')
    mkdirSync(dir.pathOf('theirs'), { mode: 0o700 })
    chownSync(dir.pathOf('theirs'), 1234, 1234)
    mkdirSync(`${dir.pathOf('theirs')}/ours`, { mode: 0o700 })
    expect(() => SafeDir.open(dir.pathOf('theirs'))).toThrow('Others can change')
    expect(() => SafeDir.open(`${dir.pathOf('theirs')}/ours`)).toThrow('Others can change')
  })
})
