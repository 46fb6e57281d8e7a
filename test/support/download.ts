import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { until } from './until.ts'

const port = 5000

/** Whoever connects gets 40 kB each 10 ms, without end: within a second more than any window of the connection. */
const sourceText = `
  require('net').createServer((one) => {
    const timer = setInterval(() => one.write(Buffer.alloc(40_000)), 10);
    one.on('error', () => {}).on('close', () => clearInterval(timer));
  }).listen(${String(port)}, () => console.log('ready'));`

/** Says its own port, then a line for each piece, and why it ended. */
const downloadText = `
  const one = require('net').connect(${String(port)}, process.argv[1], () => console.log('port', one.localPort));
  one.on('data', () => console.log('piece')).on('error', (error) => console.log('ended', error.code)).on('end', () => console.log('ended'));`

/** A connection over which pieces come all the time. */
export interface Download extends Disposable {
  /** At the client, before translation. */
  readonly localPort: number
  /** Wait until pieces come again; throws when the connection ended. */
  goesOn(): Promise<void>
  longestGapMs(): number
}

export async function startSource(namespace: string): Promise<ChildProcess> {
  const child = start(namespace, sourceText)
  await once(child.stdout, 'data')
  return child
}

/** Throws when nothing comes. */
export async function startDownload(namespace: string, server: string): Promise<Download> {
  const child = start(namespace, downloadText, server)
  let localPort = 0
  let pieces = 0
  let ended: string | undefined
  let lastAt = performance.now()
  let longestMs = 0
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [word, rest] = line.split(' ')
    if (word === 'port') localPort = Number(rest)
    if (word === 'ended') ended = rest ?? 'by the server'
    if (word !== 'piece') return
    longestMs = Math.max(longestMs, performance.now() - lastAt)
    lastAt = performance.now()
    pieces += 1
  })
  const goesOn = async () => {
    const before = pieces
    await until('the download goes on', () => {
      if (ended !== undefined) throw new Error(`The download ended: ${ended}`)
      return pieces > before + 100
    })
  }
  await goesOn()
  return {
    localPort,
    goesOn,
    longestGapMs: () => Math.round(longestMs),
    [Symbol.dispose]: () => {
      child.kill('SIGKILL')
    },
  }
}

function start(namespace: string, text: string, ...words: string[]) {
  using held = openNamespace(namespace)
  return inNamespace(held.fd, () =>
    spawn(process.execPath, ['-e', text, ...words], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
}
