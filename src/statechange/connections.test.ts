import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { Connections } from './connections.ts'

const ownUid = 990
const connections = () => new Connections({ ownUid, rules: [] }, { trusted: 3, others: 2 }, 5)

function connect(to: Connections, uid: number): { socket: Socket; admitted: boolean } {
  const socket = new Socket()
  const sender = { pid: 1, uid, gid: uid, groups: [] }
  return { socket, admitted: to.admit(socket, { sender, controlGroup: '' }) }
}

test('one connection more than a user may have ends its oldest that has said nothing', () => {
  const to = connections()
  const [first, second] = [connect(to, 1000), connect(to, 1000)]
  to.spoke(first.socket)
  expect(connect(to, 1000).admitted).toBe(false)
  expect([first.socket.destroyed, second.socket.destroyed]).toEqual([false, true])
})

test('many users together keep neither root nor our own user out', async () => {
  const to = connections()
  const others = [1000, 1000, 1001, 1001, 1002].map((uid) => connect(to, uid))
  expect(others.every(({ admitted }) => admitted)).toBe(true)
  expect(connect(to, 1003).admitted).toBe(false)
  for (const uid of [0, 0, 0, ownUid]) expect(connect(to, uid).admitted).toBe(true)
  others[0]?.socket.destroy()
  await new Promise(setImmediate)
  expect(connect(to, 1003).admitted).toBe(true)
})
