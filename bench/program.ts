import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { KeepwardError } from '../src/base/error.ts'
import { openProcess } from '../src/linux/process.ts'
import { until } from './until.ts'

const root = new URL('..', import.meta.url).pathname

/**
 * Copy the built program into a directory: what is measured stays the same if somebody builds meanwhile, and its pages
 * are shared with no other process, so that its proportional set size is what it costs where it runs alone. Returns the path to start.
 */
export function copyProgram(directory: string): string {
  if (!existsSync(join(root, 'dist/keepward.js'))) {
    throw new KeepwardError('lab-failed', 'The program is not built', { hint: 'script/build' })
  }
  const machine = basename(join(process.execPath, '../..'))
  const node = join(directory, 'node_modules', machine, 'bin')
  for (const made of ['bin', 'script', 'build']) mkdirSync(join(directory, made), { recursive: true, mode: 0o755 })
  mkdirSync(node, { recursive: true, mode: 0o755 })
  for (const file of ['bin/keepward', 'script/node', 'build/keepward.node'])
    copyFileSync(join(root, file), join(directory, file))
  copyFileSync(process.execPath, join(node, 'node'))
  cpSync(join(root, 'dist'), join(directory, 'dist'), { recursive: true })
  return join(directory, 'bin/keepward')
}

/** Beside a copied program, one that collects its garbage when told by SIGUSR2. The product itself knows nothing of it. */
export function withCollector(program: string, directory: string): string {
  const preload = join(directory, 'collector.mjs')
  const wrapper = join(directory, 'collecting')
  writeFileSync(preload, preloadText(collectedFile(directory)), { mode: 0o600 })
  const options = `--expose-gc --import file://${preload}`
  writeFileSync(wrapper, `#!/bin/sh\nNODE_OPTIONS='${options}' exec ${program} "$@"\n`, { mode: 0o700 })
  return wrapper
}

/** Have a process that {@link withCollector} started collect the garbage of its event loop and of its journal worker. */
export async function collectGarbage(pid: number, directory: string): Promise<void> {
  const file = collectedFile(directory)
  const said = () => (existsSync(file) ? readFileSync(file, 'utf8') : '')
  const before = said().length
  using handle = openProcess(pid)
  handle?.signal('SIGUSR2')
  await until('the garbage is collected', 10_000, () => said().length >= before + 2)
}

const collectedFile = (directory: string): string => join(directory, 'collected')

/**
 * A worker hears no signal: the main thread passes it on. The journal's takes no options from our environment, so it is
 * given this module as it is made.
 */
const preloadText = (file: string): string => `import { appendFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'
const channel = new threads.BroadcastChannel('keepward-bench')
const collect = () => {
  for (let round = 0; round < 4; round++) globalThis.gc()
  appendFileSync(${JSON.stringify(file)}, threads.isMainThread ? 'm' : 'w')
}
if (threads.isMainThread) {
  process.on('SIGUSR2', () => { collect(); channel.postMessage('collect') })
  const { Worker } = threads
  threads.Worker = class extends Worker {
    constructor(url, options) {
      super(url, { ...options, execArgv: ['--import', import.meta.url] })
    }
  }
  syncBuiltinESMExports()
} else channel.onmessage = collect
channel.unref()
`
