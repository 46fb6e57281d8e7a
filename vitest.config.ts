import { defineConfig } from 'vitest/config'

/** One project per tier; script/test runs unit, agent and lab, in this order. */
const tier = (name: string, include: string[], testTimeout: number, serial = false) => ({
  test: { name, include, testTimeout, hookTimeout: testTimeout, pool: 'forks' as const, fileParallelism: !serial },
})

export default defineConfig({
  test: {
    projects: [
      tier('unit', ['src/**/*.test.ts', 'test/unit/**/*.test.ts'], 20_000),
      tier('agent', ['test/agent/**/*.test.ts'], 30_000),
      tier('root', ['test/root/**/*.test.ts'], 60_000, true),
      tier('lab', ['test/lab/**/*.test.ts'], 120_000, true),
      tier('interop', ['test/interop/**/*.test.ts'], 300_000, true),
      tier('soak', ['test/soak/**/*.test.ts'], 1_800_000, true),
    ],
  },
})
