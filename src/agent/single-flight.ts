/**
 * Run `work` for a key at most once at a time. A call during the wait before a run is joined to it; one during the run
 * starts another when it ends, so that no hint is answered by an older look. `work` reports its failures itself.
 */
export function singleFlight<K extends object>(delayMs: number, work: (key: K) => Promise<void>): (key: K) => void {
  const states = new WeakMap<K, 'waiting' | 'running' | 'again'>()
  const run = async (key: K): Promise<void> => {
    states.set(key, 'running')
    try {
      await work(key)
    } catch {
      // Reported by itself; whatever it was, the next call must find the way free.
    }
    const again = states.get(key) === 'again'
    states.delete(key)
    if (again) start(key)
  }
  const start = (key: K): void => {
    const state = states.get(key)
    if (state === 'running') states.set(key, 'again')
    if (state !== undefined) return
    states.set(key, 'waiting')
    if (delayMs === 0) void run(key)
    else setTimeout(() => void run(key), delayMs)
  }
  return start
}
