import type { Sink, SinkState } from './sink.ts'

/** Whether the other end of a sink is there, as the sink says. */
export class Presence implements Disposable {
  #ignoreState: (() => void) | undefined
  #state: SinkState = {
    trouble: { kind: 'unreachable', text: 'it has not said that it is there' },
    insecure: undefined,
  }
  #awaySinceMs: number | undefined = performance.now()

  /** `onThere` is called whenever it is there again, with false where it has forgotten nothing. */
  follow(sink: Sink, onThere: (mayHaveForgotten: boolean) => void): void {
    let times = 0
    this.#ignoreState = sink.onState((state) => {
      const wasThere = this.isThere()
      this.#state = state
      this.#awaySinceMs = state.trouble === undefined ? undefined : (this.#awaySinceMs ?? performance.now())
      if (wasThere || !this.isThere()) return
      // An end that is asked anew for each report has lost nothing by being away for a moment.
      onThere(times++ === 0 || sink.isConnectionless !== true)
    })
  }

  /** It may be sent to. */
  isThere(): boolean {
    return this.#state.trouble === undefined || this.#state.isTried === true
  }

  /** As it is shown. `isIdle`: nothing is left that could show whether its trouble is over. */
  state(isIdle: boolean): SinkState {
    const { isTried, ...state } = this.#state
    return isTried === true && isIdle ? { ...state, trouble: undefined } : state
  }

  /** For how long it cannot be sent to, milliseconds; 0: it can. */
  get awayMs(): number {
    return this.#awaySinceMs === undefined ? 0 : performance.now() - this.#awaySinceMs
  }

  [Symbol.dispose](): void {
    this.#ignoreState?.()
  }
}
