import { once } from 'node:events'

/** From the first moment on, so that no signal finds its default action. */
export function listenForSignals(): { readonly toEnd: Promise<unknown>; onHangUp(apply: () => void): void } {
  let apply: () => void = () => undefined
  process.on('SIGHUP', () => {
    apply()
  })
  return {
    toEnd: Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]),
    onHangUp: (next) => {
      apply = next
    },
  }
}
