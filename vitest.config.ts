import { defineConfig } from 'vitest/config'

interface Tier {
  readonly name: string
  readonly include: string[]
  readonly timeoutMs: number
  /** So many files at once: what mostly waits shares a processor, what is held to a time has one. */
  readonly files: number
}

/** One project per tier; script/test runs unit, then agent, then root and lab side by side. */
const tier = ({ name, include, timeoutMs, files }: Tier) => ({
  test: {
    name,
    include,
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    pool: 'forks' as const,
    fileParallelism: files > 1,
    maxWorkers: files,
  },
})

export default defineConfig({
  test: {
    globalSetup: ['test/support/tidy.ts'],
    projects: [
      tier({ name: 'unit', include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'], timeoutMs: 20_000, files: 3 }),
      tier({ name: 'agent', include: ['test/agent/**/*.test.ts'], timeoutMs: 30_000, files: 4 }),
      tier({ name: 'root', include: ['test/root/**/*.test.ts'], timeoutMs: 60_000, files: 1 }),
      tier({ name: 'lab', include: ['test/lab/**/*.test.ts'], timeoutMs: 120_000, files: 2 }),
      tier({ name: 'interop', include: ['test/interop/**/*.test.ts'], timeoutMs: 300_000, files: 1 }),
      tier({ name: 'soak', include: ['test/soak/**/*.test.ts'], timeoutMs: 1_800_000, files: 1 }),
    ],
  },
})
