/** How long two witnesses may differ: each speaks some ms before or after the address has moved. */
export const settleMs = 1000

/** A span for a person: `4.0 s`. */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
