/** Numbers that are the same for the same seed. */
export interface Random {
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number
  /** One of them. */
  of<T>(choices: readonly [T, ...T[]]): T
  /** True once in so many times. */
  once(inSoMany: number): boolean
}

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const below = (bound: number) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * bound)
  }
  return {
    below,
    of: (choices) => choices[below(choices.length)] ?? choices[0],
    once: (inSoMany) => below(inSoMany) === 0,
  }
}
