import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { brokerUser } from './rabbitmq.ts'
import { until } from './until.ts'

const program = new URL('../interop/neutron-rpc-server.py', import.meta.url).pathname

export interface Handled {
  readonly host: string
  readonly states: Readonly<Record<string, string>>
  /** As oslo.messaging hands it to the endpoint. */
  readonly context: Readonly<Record<string, unknown>>
  /** Unix time. */
  readonly atMs: number
}

export interface Behaviour {
  /** How long the handler takes, at least and at most. */
  readonly sleepMs?: readonly [number, number]
  /** What it raises; null: nothing. */
  readonly fail?: string | null
}

export interface RpcServerOptions {
  /** Of the broker, on 127.0.0.1. */
  readonly port: number
  readonly virtualHost?: string
  readonly version?: string
  /** Options of `[oslo_messaging_rabbit]`. */
  readonly rabbit?: Readonly<Record<string, string | number | boolean>>
}

type Said = Partial<Handled & Readonly<Record<'ready' | 'behaves' | 'begins', boolean>>>

/** An RPC server of Debian's oslo.messaging that takes the states of HA routers. */
export class RpcServer implements AsyncDisposable {
  readonly handled: Handled[] = []
  /** How many calls it has begun to sleep over. */
  begun = 0
  readonly #child: ChildProcess
  #behaves = 0
  #isReady = false

  private constructor({ port, virtualHost = '/', ...options }: RpcServerOptions) {
    const { user, password } = brokerUser
    const url = `rabbit://${user}:${password}@127.0.0.1:${String(port)}/${encodeURIComponent(virtualHost)}`
    this.#child = spawn('/usr/bin/python3', [program, JSON.stringify({ ...options, url })], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    if (this.#child.stdout === null) throw new Error('There is no output')
    createInterface(this.#child.stdout).on('line', (line) => {
      this.#hear(JSON.parse(line) as Said)
    })
  }

  static async start(options: RpcServerOptions): Promise<RpcServer> {
    const server = new RpcServer(options)
    await until('the RPC server listens', () => server.#isReady, 30_000)
    return server
  }

  async behave(behaviour: Behaviour): Promise<void> {
    const wanted = this.#behaves + 1
    this.#child.stdin?.write(`${JSON.stringify(behaviour)}\n`)
    await until('the RPC server behaves', () => this.#behaves >= wanted)
  }

  /** Of each router the states as they were handled. */
  get states(): Record<string, string[]> {
    const by: Record<string, string[]> = {}
    for (const { states } of this.handled)
      for (const [router, state] of Object.entries(states)) by[router] = [...(by[router] ?? []), state]
    return by
  }

  #hear(said: Said): void {
    if (said.ready === true) this.#isReady = true
    else if (said.behaves === true) this.#behaves += 1
    else if (said.begins === true) this.begun += 1
    else this.handled.push(said as Handled)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const over = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await over
  }
}
