import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, connect as connectTcp, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUser } from '@nats-io/nkeys'
import { Secret } from '../../src/base/secret.ts'
import { contextOf } from '../../src/report/tls.ts'
import { connectNats } from '../../src/report/nats/connect.ts'
import { until } from './until.ts'

/** Newer ones are tried by `KEEPWARD_NATS_SERVER=PATH`. */
export const natsProgram = process.env['KEEPWARD_NATS_SERVER'] ?? '/usr/sbin/nats-server'

export interface NatsOptions {
  readonly port?: number
  /** Of somebody else, who removes it. */
  readonly directory?: string
  /** The config has address and store too. */
  readonly whole?: boolean
  /** Lines for the block of JetStream. */
  readonly jetstream?: string
}

/** One nats-server in a process of its own; disposing ends it and removes what it wrote. */
export class NatsServer implements AsyncDisposable {
  readonly directory: string
  readonly port: number
  readonly #removes: boolean
  #child: ChildProcess | undefined
  #said = ''

  private constructor(directory: string, port: number, removes: boolean) {
    this.directory = directory
    this.port = port
    this.#removes = removes
  }

  /** `config`: what stands in its file besides address and store. */
  static async start(config = '', options: NatsOptions = {}) {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'kwt-nats-'))
    const port = options.port ?? (await freePort())
    const server = new NatsServer(directory, port, options.directory === undefined)
    const text =
      options.whole === true
        ? config
        : `listen: "127.0.0.1:${String(port)}"\njetstream { store_dir: "${join(directory, 'store')}"\n${options.jetstream ?? ''} }\n${config}\n`
    writeFileSync(server.configFile, text)
    try {
      await server.start()
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
    return server
  }

  get configFile(): string {
    return join(this.directory, `server-${String(this.port)}.conf`)
  }

  get url(): string {
    return `nats://127.0.0.1:${String(this.port)}`
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  get said(): string {
    return this.#said
  }

  /** With the files that it had. */
  async start(): Promise<void> {
    const child = spawn(natsProgram, ['-c', this.configFile], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    child.stderr.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-20_000)))
    await until('nats-server listens', async () => {
      if (child.exitCode !== null) throw new Error(`nats-server has ended: ${this.#said}`)
      return isOpen(this.port)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Resolves once the process has gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL')
    if (this.#removes) rmSync(this.directory, { recursive: true, force: true })
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => {
      resolve(false)
    })
  })

/** A user's NKey: what the server is told, and what the user keeps. */
export function newNkey(): { readonly publicKey: string; readonly seed: Secret } {
  const user = createUser()
  return { publicKey: user.getPublicKey(), seed: new Secret(Buffer.from(user.getSeed())) }
}

interface Who {
  readonly seed?: Secret
  readonly ca?: string
  readonly inbox?: string
}

/** A connection of somebody else than the sink. */
export const connectAs = (url: string, { seed, ca, inbox = '_INBOX.test' }: Who = {}) =>
  connectNats(
    {
      ...{
        server: url,
        plaintext: true,
        tls: ca === undefined ? undefined : contextOf({ ca, cert: undefined, key: undefined }),
        name: 'test',
        inbox,
      },
      identity: seed === undefined ? undefined : { kind: 'nkey', seed },
    },
    new AbortController().signal,
  )
