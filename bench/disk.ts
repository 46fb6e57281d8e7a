import { fork } from 'node:child_process'
import { once } from 'node:events'

/** What the disk alone takes, beside whatever else uses it. */
export interface DiskWatch extends Disposable {
  /** Milliseconds until 4 KB were durable, of one that wants it every 20 ms; ends the watch. */
  times(): Promise<readonly number[]>
}

/** Watch the disk that a directory is on, from a process of its own, which leaves a file there. */
export function watchDisk(directory: string): DiskWatch {
  const child = fork(new URL('./disk-writer.ts', import.meta.url).pathname, [directory], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  })
  return {
    times: async () => {
      child.send('times')
      const [times] = (await once(child, 'message')) as [number[]]
      return times
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}
