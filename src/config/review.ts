import type { Path } from './problem.ts'

/** What a cross-check needs to speak: it names both sides of a conflict, each with its line. */
export interface Review {
  /** `message` starts at "is" or "must". */
  tell(path: Path, message: string): void
  /** `routers[0].vrid on line 8` */
  name(path: Path): string
}

/** Tells of each path whose key was seen before; `undefined` keys are never equal. */
export function tellRepeated<K>(
  review: Review,
  found: readonly { readonly key: K | undefined; readonly path: Path }[],
  say: (key: K, first: string) => string,
): void {
  const firsts = new Map<K, Path>()
  for (const { key, path } of found) {
    if (key === undefined) continue
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, path)
    else review.tell(path, say(key, review.name(first)))
  }
}
