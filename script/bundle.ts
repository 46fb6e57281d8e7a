import { build, type BuildOptions, type Plugin } from 'esbuild'
import { rmSync } from 'node:fs'

const root = new URL('..', import.meta.url).pathname
const common = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  logLevel: 'warning',
} satisfies BuildOptions

rmSync(`${root}dist`, { recursive: true, force: true })

/** The program and the journal's worker, split so that a command loads only what it needs. */
await build({
  ...common,
  entryPoints: { keepward: 'src/cmd/keepward.ts', 'journal-worker': 'src/journal/worker.ts' },
  splitting: true,
  // Packages written for require() find it here.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})

const generalProgramBeside: Plugin = {
  name: 'general-program-beside',
  setup(program) {
    program.onResolve({ filter: /^\.\/keepward\.ts$/ }, () => ({ path: './keepward.js', external: true }))
  },
}

/** `keepward notify` in one file: Node.js takes 2 ms of CPU for each further one. */
await build({ ...common, entryPoints: { notify: 'src/cmd/notify.ts' }, plugins: [generalProgramBeside] })
