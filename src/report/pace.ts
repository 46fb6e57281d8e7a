/**
 * How long to wait after so many failures in a row, milliseconds: twice as long each time, from `firstMs` to `maxMs`, and between half of it and
 * all of it, so that many agents do not come at one moment.
 */
export const pauseAfter = (failures: number, firstMs: number, maxMs: number): number =>
  Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(0, failures - 1), 20)) * (0.5 + Math.random() / 2)
