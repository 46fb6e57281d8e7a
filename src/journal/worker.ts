import { parentPort } from 'node:worker_threads'
import { KeepwardError, sentenceOf } from '../base/error.ts'
import type { Calls, Reply, Request, WireError } from './protocol.ts'
import { Store } from './store.ts'

// The journal's thread: answers one request after the other, in order, and may sleep in the disk as long as it must.
// It imports little on purpose: whatever it loads is loaded twice in the process.

let store: Store | undefined

parentPort?.on('message', (request: Request) => {
  parentPort?.postMessage(answer(request))
})

function answer(request: Request): Reply {
  try {
    return { id: request.id, ok: true, answer: run(request) }
  } catch (error) {
    return { id: request.id, ok: false, error: wireError(error) }
  }
}

function run(request: Request): Calls[keyof Calls]['answer'] {
  if (request.kind === 'open') {
    store = new Store(request.ask)
    return store.opened()
  }
  if (store === undefined) throw new KeepwardError('journal-failed', 'The journal is not open')
  switch (request.kind) {
    case 'commit':
      return store.commit(request.ask)
    case 'read':
      return store.read(request.ask)
    case 'verify':
      return store.walkOn(request.ask)
    case 'cursor':
      return store.cursor(request.ask)
    case 'close':
      store.close()
      store = undefined
      return null
  }
}

function wireError(error: unknown): WireError {
  if (error instanceof KeepwardError) return { code: error.code, message: sentenceOf(error), hint: error.hint }
  return { code: 'internal', message: sentenceOf(error), hint: undefined }
}
