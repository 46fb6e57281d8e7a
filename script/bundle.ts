import { build } from 'esbuild'
import { rmSync } from 'node:fs'

/** Bundle the program and the journal's worker into dist/, split so that a command loads only what it needs. */
const root = new URL('..', import.meta.url).pathname
rmSync(`${root}dist`, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: { keepward: 'src/cmd/keepward.ts', 'journal-worker': 'src/journal/worker.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  legalComments: 'linked',
  // Packages written for require() find it here.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
