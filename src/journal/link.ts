import { Worker } from 'node:worker_threads'
import { KeepwardError } from '../base/error.ts'
import type { Calls, OpenAnswer, OpenAsk, Reply, WireError } from './protocol.ts'

type Kind = keyof Calls

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: KeepwardError) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** The main thread's end of the worker: calls are answered in order; a worker that died is replaced at the next call. */
export class WorkerLink {
  readonly #open: Omit<OpenAsk, 'resume'>
  readonly #file: string
  #worker: Worker | undefined
  #opened: OpenAnswer | undefined
  #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(open: Omit<OpenAsk, 'resume'>) {
    this.#open = open
    this.#file = `${open.directory.path}/${open.name}`
  }

  /** Start the worker and open the file. */
  async open(deadlineMs: number): Promise<OpenAnswer> {
    this.#start()
    this.#opened = await this.#post('open', { ...this.#open, resume: undefined }, deadlineMs)
    return this.#opened
  }

  /** Throws what the worker threw, or `journal-failed` when it died or did not answer within `deadlineMs`. */
  call<K extends Kind>(kind: K, ask: Calls[K]['ask'], deadlineMs?: number): Promise<Calls[K]['answer']> {
    if (this.#worker === undefined) {
      this.#start()
      // A failure to open shows in the call behind it.
      this.#post('open', { ...this.#open, resume: this.#opened?.epoch }).catch(() => undefined)
    }
    return this.#post(kind, ask, deadlineMs)
  }

  /** Stop the thread. One that sleeps in the disk ends when the disk wakes; it no longer keeps the process alive. */
  async stop(deadlineMs: number): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    this.#abandon(worker, 'was stopped')
    const { promise, resolve } = Promise.withResolvers<null>()
    const timer = setTimeout(resolve, deadlineMs, null)
    await Promise.race([worker.terminate(), promise])
    clearTimeout(timer)
    worker.unref()
  }

  #start(): void {
    const worker = new Worker(workerUrl, {
      name: 'keepward-journal',
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 },
    })
    worker.on('message', (reply: Reply) => {
      this.#settle(reply)
    })
    worker.on('error', (error) => {
      this.#abandon(worker, `died: ${error instanceof Error ? error.message : String(error)}`)
    })
    worker.on('exit', (code) => {
      this.#abandon(worker, `ended with code ${code}`)
    })
    this.#worker = worker
  }

  #post<K extends Kind>(kind: K, ask: Calls[K]['ask'], deadlineMs?: number): Promise<Calls[K]['answer']> {
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timer =
      deadlineMs === undefined
        ? undefined
        : setTimeout(() => {
            this.#expire(id, kind, deadlineMs)
          }, deadlineMs)
    this.#waiting.set(id, { resolve, reject, timer })
    this.#worker?.postMessage({ id, kind, ask })
    // Both ends are this program's: the map of calls holds for what arrives.
    return promise as Promise<Calls[K]['answer']>
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    clearTimeout(waiting?.timer)
    if (reply.ok) waiting?.resolve(reply.answer)
    else waiting?.reject(fromWire(reply.error))
  }

  #expire(id: number, kind: Kind, deadlineMs: number): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    const message = `Journal ${this.#file} did not answer "${kind}" within ${deadlineMs} ms`
    waiting?.reject(
      new KeepwardError('journal-failed', message, { hint: 'its disk is busy or does not answer; see dmesg' }),
    )
  }

  #abandon(worker: Worker, what: string): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject, timer } of waiting) {
      clearTimeout(timer)
      reject(new KeepwardError('journal-failed', `The thread of journal ${this.#file} ${what}`))
    }
  }
}

/** The sources name their own file; the bundle has the worker beside its chunks. */
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './journal-worker.js', import.meta.url)

const fromWire = ({ code, message, hint }: WireError): KeepwardError =>
  new KeepwardError(code, message, hint === undefined ? {} : { hint })
