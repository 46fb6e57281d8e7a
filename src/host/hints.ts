import { readNotifyFifo, type FifoReader } from '../keepalived/fifo.ts'
import type { HintWord } from '../keepalived/notify-line.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { Says } from '../router/evidence.ts'
import type { RootEvent } from './operation.ts'

const fifoName = 'notify.fifo'

/** The one FIFO that every keepalived writes its lines into: each only says when to ask. */
export class Hints {
  readonly #fifo: FifoReader

  constructor(runDir: SafeDir, emit: (event: RootEvent) => void) {
    const reject = () => {
      emit({ type: 'rejected' })
    }
    this.#fifo = readNotifyFifo(runDir, fifoName, {
      onHint: ({ routerId, says }) => {
        const word = hintWords[says]
        if (word !== undefined) emit({ type: 'notified', router: routerId, says: word })
      },
      onRejected: reject,
      // Hints are lost then, and nothing else: the slow pass asks all the same.
      onFailed: reject,
    })
  }

  get fifoPath(): string {
    return this.#fifo.path
  }

  close(): void {
    this.#fifo.close()
  }
}

/** What of the FIFO's words is a hint to the core. */
const hintWords: Readonly<Record<HintWord, Says | 'stopped' | undefined>> = {
  primary: 'primary',
  backup: 'backup',
  fault: 'fault',
  stop: 'stopped',
  'lower-priority-heard': 'primary',
  deleted: 'stopped',
}
