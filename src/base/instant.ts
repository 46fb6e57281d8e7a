/**
 * A moment on both clocks. `wallMs` (Unix epoch) is for people and other hosts; `monoMs` (CLOCK_MONOTONIC, comparable
 * between processes of one boot) is for every duration and age.
 */
export interface Instant {
  readonly wallMs: number
  readonly monoMs: number
}

export type Clock = () => Instant

export const systemClock: Clock = () => ({
  wallMs: Date.now(),
  monoMs: Number(process.hrtime.bigint() / 1000n) / 1000,
})
