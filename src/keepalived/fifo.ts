import { Socket } from 'node:net'
import type { SafeDir } from '../linux/safe-dir.ts'
import { type Hint, NotifySplitter, type Rejection } from './notify-line.ts'

export interface FifoReader {
  /** Absolute path, for the config. */
  readonly path: string
  close(): void
}

export interface FifoListener {
  onHint(hint: Hint): void
  onRejected(reason: Rejection): void
  /** Reading ended with an error; no hint comes any more. */
  onFailed(error: Error): void
}

/**
 * Reads the one notify FIFO that all keepalived processes of this agent write to. It is made before the first of them,
 * since the keepalived that makes one removes it at its end under all the others. Throws `file-unsafe`, `file-failed`.
 */
export function readNotifyFifo(
  directory: Pick<SafeDir, 'makeFifo' | 'pathOf'>,
  name: string,
  listener: FifoListener,
): FifoReader {
  // net.Socket polls the descriptor; fs streams would hold a thread of the pool for good.
  const socket = new Socket({ fd: directory.makeFifo(name), readable: true, writable: false })
  const splitter = new NotifySplitter()
  socket.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) {
      if (line.kind === 'hint') listener.onHint(line.hint)
      else listener.onRejected(line.reason)
    }
  })
  socket.on('error', (error) => {
    listener.onFailed(error)
  })
  return {
    path: directory.pathOf(name),
    close: () => {
      socket.destroy()
    },
  }
}
