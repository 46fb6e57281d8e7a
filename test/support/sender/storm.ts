import { connect } from 'node:net'
import { errnoOf } from '../../../src/base/error.ts'

export interface StormWish {
  readonly path: string
  readonly connections: number
  /** What each says at once. */
  readonly bytes: string
  /** What each says after that, a byte a second. */
  readonly drip: string
}

/** How long connections lived until the other side ended them. */
export interface StormSeen {
  /** Connected, and ended by the other side. */
  readonly ended: number
  readonly shortestMs: number
  readonly longestMs: number
  /** From the first connect to the last. */
  readonly connectedWithinMs: number
  /** Connects that a full backlog turned away, each tried again. */
  readonly again: number
  /** Connects that failed for another reason. */
  readonly failed: number
}

/** Open so many connections as fast as they are taken, and wait for all to be ended by the other side. */
export async function storm({ path, connections, bytes, drip }: StormWish): Promise<StormSeen> {
  const startedMs = performance.now()
  const lives: number[] = []
  let connectedWithinMs = 0
  let again = 0
  let failed = 0
  const one = () =>
    new Promise<'done' | 'again'>((resolve) => {
      const socket = connect(path)
      let bornMs: number | undefined
      let timer: NodeJS.Timeout | undefined
      socket.on('connect', () => {
        bornMs = performance.now()
        connectedWithinMs = bornMs - startedMs
        if (bytes !== '') socket.write(bytes, 'latin1')
        timer = dripOnto((text) => socket.write(text, 'latin1'), drip)
      })
      socket.on('error', (error) => {
        if (bornMs !== undefined) return
        if (errnoOf(error) === 'EAGAIN') {
          again += 1
          resolve('again')
        } else failed += 1
      })
      socket.on('close', () => {
        clearInterval(timer)
        if (bornMs !== undefined) lives.push(performance.now() - bornMs)
        resolve('done')
      })
      socket.resume()
    })
  const persist = async () => {
    while ((await one()) === 'again') await new Promise((done) => setTimeout(done, 2))
  }
  const all: Promise<void>[] = []
  for (let n = 0; n < connections; n++) {
    all.push(persist())
    if (n % 32 === 31) await new Promise((done) => setImmediate(done))
  }
  await Promise.all(all)
  lives.sort((a, b) => a - b)
  return {
    ended: lives.length,
    shortestMs: lives[0] ?? 0,
    longestMs: lives.at(-1) ?? 0,
    connectedWithinMs,
    again,
    failed,
  }
}

function dripOnto(write: (text: string) => void, drip: string): NodeJS.Timeout | undefined {
  if (drip === '') return undefined
  let at = 0
  return setInterval(() => {
    write(drip[at++ % drip.length] ?? '')
  }, 1000)
}
