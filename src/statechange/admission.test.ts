import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Admission, type AdmissionParts } from './admission.ts'
import { Connections, type Connection } from './connections.ts'

const ownUid = 990

/** Real connections, of users as told: an admission asks the kernel what they have sent. */
class Door implements AsyncDisposable {
  readonly served: Connection[] = []
  readonly ended: Connection[] = []
  readonly excess: string[] = []
  readonly connections = new Connections()
  readonly admission: Admission
  readonly #directory = mkdtempSync(join(tmpdir(), 'kwt-door-'))
  readonly #server = createServer({ pauseOnConnect: true })
  readonly #sockets: Socket[] = []

  constructor(parts: Partial<AdmissionParts> = {}) {
    this.admission = new Admission({
      policy: { ownUid, rules: [] },
      limits: { trusted: 3, others: 2 },
      roomSize: 6,
      deadlineMs: 5000,
      serve: (connection) => this.served.push(connection),
      end: (connection) => {
        this.ended.push(connection)
        connection.socket.destroy()
      },
      onExcess: (excess) => this.excess.push(excess),
      ...parts,
    })
  }

  async listen(): Promise<this> {
    this.#server.listen(join(this.#directory, 's'))
    await once(this.#server, 'listening')
    return this
  }

  /** One connection of that user, which has sent `text` before anybody looks. */
  async connect(uid: number, text = ''): Promise<Connection> {
    const client = connect(join(this.#directory, 's'))
    client.on('error', () => undefined)
    const [socket] = (await once(this.#server, 'connection')) as [Socket]
    this.#sockets.push(client, socket)
    if (text !== '')
      await new Promise<void>((done) =>
        client.write(text, () => {
          done()
        }),
      )
    const caller = { sender: { pid: 1, uid, gid: uid, groups: [] }, controlGroup: '' }
    const made = this.connections.add(socket, caller, 5000)
    this.admission.arrive(made)
    return made
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
    rmSync(this.#directory, { recursive: true })
  }
}

const open = (parts?: Partial<AdmissionParts>) => new Door(parts).listen()
/** Once the server has noticed. */
const closed = ({ socket }: Connection) => once(socket, 'close')

let nowMs: number
beforeEach(() => {
  nowMs = performance.now()
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
})
afterEach(() => {
  vi.restoreAllMocks()
})

test('one connection more than a user may have waits until one of them ends, and nobody else does', async () => {
  await using door = await open()
  const [first, second, third] = [await door.connect(1000), await door.connect(1000), await door.connect(1000)]
  const other = await door.connect(1001)
  expect(door.served).toEqual([first, second, other])
  expect(door.excess).toEqual(['connections'])
  first.socket.destroy()
  await closed(first)
  expect(door.served).toEqual([first, second, other, third])
  expect(door.admission.waiting).toBe(0)
})

test('while others of its user wait, a connection that says nothing gives way, and one with an answer due does not', async () => {
  await using door = await open()
  const [busy, silent] = [await door.connect(1000, 'GET'), await door.connect(1000)]
  busy.owed = 1
  door.admission.spoke(busy)
  const waiting = await door.connect(1000, 'GET')
  nowMs += 200
  door.admission.sweep()
  expect(door.ended).toEqual([])
  nowMs += 100
  door.admission.sweep()
  expect(door.ended).toEqual([silent])
  await closed(silent)
  expect(door.served).toContain(waiting)
  expect(door.excess).toEqual(['connections', 'connections'])
})

test('a connection whose words we have not read yet does not give way', async () => {
  await using door = await open()
  await door.connect(1000, 'GET')
  await door.connect(1000, 'GET')
  await door.connect(1000)
  nowMs += 2000
  door.admission.sweep()
  expect(door.ended).toEqual([])
})

test('who has not sent a request by the deadline is cut, waiting or not; who has sent one that we left unread is not', async () => {
  await using door = await open()
  const [spoke, slow] = [await door.connect(1000), await door.connect(1000)]
  spoke.owed = 1
  door.admission.spoke(spoke)
  slow.owed = 1
  const [silent, patient] = [await door.connect(1000), await door.connect(1000, 'GET')]
  nowMs += 5001
  door.admission.sweep()
  expect(door.ended).toEqual([slow, silent])
  expect(door.excess).toEqual(['connections', 'connections', 'deadline', 'deadline'])
  await closed(slow)
  expect(door.served.at(-1)).toBe(patient)
  nowMs += 4000
  door.admission.sweep()
  expect(door.ended).toHaveLength(2)
})

test('nobody waits for more than a minute', async () => {
  await using door = await open()
  for (const one of [await door.connect(1000), await door.connect(1000)]) {
    one.owed = 1
    door.admission.spoke(one)
  }
  const patient = await door.connect(1000, 'GET')
  for (let n = 0; n < 12; n++) {
    nowMs += 5001
    door.admission.sweep()
  }
  expect(door.ended).toEqual([patient])
})

test('where there is no room, the last of the user with the most that wait is cut, and root and our own user have room', async () => {
  await using door = await open()
  for (let n = 0; n < 4; n++) await door.connect(1000)
  await door.connect(1001)
  const last = await door.connect(1000)
  const honest = await door.connect(1002)
  expect(door.ended).toEqual([last])
  expect(door.served).toContain(honest)
  for (const uid of [0, 0, 0, ownUid, ownUid]) expect(door.served).toContain(await door.connect(uid))
  expect(door.ended).toEqual([last])
})

test('many users together keep out no more than one another', async () => {
  await using door = await open()
  for (const uid of [1000, 1000, 1001, 1001, 1002, 1002]) await door.connect(uid)
  const late = await door.connect(1003)
  expect(door.ended).toEqual([late])
})

test('a user whose last connection is being cut has no more than he may when he comes again', async () => {
  await using door = await open({ roomSize: 3, end: () => undefined })
  const [first, second] = [await door.connect(1000), await door.connect(1000)]
  const third = await door.connect(1000)
  await door.connect(1001)
  // The third, which waited, was told to end and has not yet.
  for (const one of [first, second]) {
    one.socket.destroy()
    await closed(one)
  }
  const again = [await door.connect(1000), await door.connect(1000)]
  third.socket.destroy()
  await closed(third)
  const more = await door.connect(1000)
  expect(door.served).toEqual(expect.arrayContaining(again))
  expect(door.served).not.toContain(more)
})
