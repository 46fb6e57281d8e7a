import { afterEach, beforeEach, vi } from 'vitest'

/** For each test of the file: a terminal without colour, in UTC. */
export function plainTerminal(): void {
  beforeEach(() => {
    vi.stubEnv('TZ', 'UTC')
    vi.stubEnv('FORCE_COLOR', undefined)
    vi.stubEnv('NO_COLOR', '1')
  })
  afterEach(() => {
    vi.unstubAllEnvs()
  })
}
