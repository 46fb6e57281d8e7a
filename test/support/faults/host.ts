import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { AgentStatus, RouterStatus } from '../../../src/agent/api.ts'
import { callAt } from '../../../src/cli/client.ts'
import { inNamespace } from '../../../src/linux/in-namespace.ts'
import { listNamespaces, openNamespace } from '../../../src/linux/netns.ts'
import { hostCapabilities } from '../../../src/host/rights.ts'
import { boundedBy } from '../../../src/lab/processes.ts'
import { program } from '../lab.ts'
import { until } from '../until.ts'
import type { Failing } from './rows.ts'

/** Whose processes: one that is root and does all, or an agent of another user beside a root half. */
export type Kind = 'one' | 'two'
type Command = 'agent' | 'host'

const agentUid = 60_991
const rulesBytes = 4096
let count = 0

export interface Started {
  readonly child: ChildProcess
  readonly said: () => string
  /** Exit status, once it has ended; undefined for a signal. */
  readonly ended: Promise<number | undefined>
}

/** A machine of one test, made of a namespace: the program as it is shipped, with system calls that fail when they are told to. */
export class FaultHost {
  readonly kind: Kind
  readonly home: string
  readonly name: string
  readonly #running = new Map<Command, Started>()
  readonly #mounts: string[] = []
  readonly #rules: number
  readonly #shim: string

  private constructor(kind: Kind, home: string, shim: string) {
    this.kind = kind
    this.home = home
    this.#shim = shim
    this.name = `kwf${String(process.pid)}-${String(++count)}`
    writeFileSync(join(home, 'faults'), Buffer.alloc(rulesBytes), { mode: 0o644 })
    this.#rules = openSync(join(home, 'faults'), 'r+')
    this.configure('')
  }

  /** `shim`: from {@link buildShim}. */
  static make(kind: Kind, shim: string): FaultHost {
    const home = mkdtempSync('/tmp/kwf-')
    chmodSync(home, 0o711)
    const made = new FaultHost(kind, home, shim)
    if (kind === 'one') return made
    for (const name of ['state', 'run']) {
      mkdirSync(join(home, name), { mode: 0o700 })
      chownSync(join(home, name), agentUid, agentUid)
    }
    return made
  }

  get socket(): string {
    return join(this.home, 'run', 'control.sock')
  }

  get routerNamespace(): string {
    return `${this.name}-r1`
  }

  /** Write the config, with this behind it. */
  configure(routers: string): void {
    const paths = ['state', 'run', 'host', 'anchors'].map((one) => `${one}: ${join(this.home, one)}`).join(', ')
    const user = this.kind === 'two' ? `, user: ${String(agentUid)}` : ''
    const head = `version: 1\nagent: { id: ${this.name}${user} }\npaths: { ${paths} }\nreconcile: { intervalMs: 500 }\n`
    writeFileSync(join(this.home, 'agent.yaml'), head + (routers === '' ? 'routers: []\n' : `routers:\n${routers}`), {
      mode: 0o644,
    })
  }

  /** A namespace with two bridges, and one router in the config that becomes primary as nobody else is there. */
  withRouter(): void {
    ip('netns', 'add', this.name)
    for (const bridge of ['br-ha', 'br-ext']) ip('-n', this.name, 'link', 'add', bridge, 'up', 'type', 'bridge')
    this.configure(
      [
        '  - id: r1',
        '    vrid: 7',
        `    namespace: ${this.routerNamespace}`,
        '    vrrpVersion: 3',
        '    advertisementInterval: 200ms',
        '    priority: 100',
        '    ha: { interface: ha0, multicast: { peers: [] } }',
        '    interfaces:',
        '      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }',
        '      - { name: ext0, attach: { bridge: br-ext } }',
        '    virtualAddresses: [{ address: 198.51.100.1/24, interface: ext0 }]',
        '',
      ].join('\n'),
    )
  }

  /** From now on these calls fail, in every process of the host; none: all is well. */
  fail(...failing: readonly Failing[]): void {
    this.#rule(failing.map(({ call, errno, on }) => `${call} ${String(constants.errno[errno])} ${on}\n`).join(''))
  }

  /** As if somebody had set the wall clock, by so much beside the real one. */
  setClock(bySeconds: number): void {
    this.#rule(`clock ${String(bySeconds)} set\n`)
  }

  /** Run it as its unit would; `wrap`: a program and its words before it. `options`: for Node.js. */
  start(command: Command, wrap: readonly string[] = [], options = ''): Started {
    const words = [...wrap, program, '-c', join(this.home, 'agent.yaml'), command]
    const [file = '', ...args] =
      command === 'host' && wrap.length === 0 ? [...boundedBy(hostCapabilities), ...words] : words
    const user = this.kind === 'two' && command === 'agent' ? { uid: agentUid, gid: agentUid } : {}
    const env = {
      PATH: process.env['PATH'],
      LD_PRELOAD: this.#shim,
      KEEPWARD_FAULTS: join(this.home, 'faults'),
      NODE_OPTIONS: options,
    }
    const log = join(this.home, `${command}.log`)
    const stderr = openSync(log, 'a')
    const child = this.#inside(() => spawn(file, args, { stdio: ['ignore', 'ignore', stderr], env, cwd: '/', ...user }))
    closeSync(stderr)
    const ended = once(child, 'exit').then(() => child.exitCode ?? undefined)
    const started = { child, said: () => readFileSync(log, 'utf8'), ended }
    this.#running.set(command, started)
    return started
  }

  running(command: Command): Started {
    const found = this.#running.get(command)
    if (found === undefined) throw new Error(`${command} was not started`)
    return found
  }

  /** All that the kind has; resolves once the agent answers. */
  async up(): Promise<void> {
    if (this.kind === 'two') this.start('host')
    this.start('agent')
    await until('the agent answers', () => this.status(), 20_000).catch((error: unknown) => {
      throw new Error([...this.#running.values()].map(({ said }) => said()).join('\n'), { cause: error })
    })
  }

  status(): Promise<AgentStatus> {
    return callAt<AgentStatus>(this.socket, 'GET', '/v1/status')
  }

  async router(): Promise<RouterStatus> {
    const [router] = (await this.status()).routers
    if (router === undefined) throw new Error('There is no router')
    return router
  }

  /** Codes of the agent and of its router, without notes. */
  async conditions(): Promise<string[]> {
    const { conditions, routers } = await this.status()
    return [...conditions, ...routers.flatMap((one) => one.conditions)]
      .filter(({ severity }) => severity !== 'info')
      .map(({ code }) => code)
  }

  /** Mount at a directory of the host until its end. */
  mount(at: string, ...words: readonly string[]): string {
    const path = join(this.home, at)
    mkdirSync(path, { recursive: true, mode: 0o700 })
    run('mount', ...words, path)
    this.#mounts.push(path)
    return path
  }

  /** Before it is up. */
  stateOnTmpfs(size: string): void {
    const owner = String(this.kind === 'two' ? agentUid : 0)
    this.mount('state', '-t', 'tmpfs', '-o', `size=${size},mode=0700,uid=${owner},gid=${owner}`, 'tmpfs')
  }

  get pids(): number[] {
    return [...this.#running.values()].map(({ child }) => child.pid ?? 0)
  }

  /** How many descriptors each process may have from now on. */
  allowDescriptors(count: number): void {
    for (const [command, { child }] of this.#running) {
      const user = this.kind === 'two' && command === 'agent' ? agentUid : 0
      const as = ['--reuid', String(user), '--regid', String(user), '--clear-groups']
      run('setpriv', ...as, 'prlimit', '--pid', String(child.pid), `--nofile=${String(count)}:`)
    }
  }

  async stop(command: Command): Promise<void> {
    const started = this.#running.get(command)
    this.#running.delete(command)
    if (started === undefined) return
    started.child.kill('SIGTERM')
    const timer = setTimeout(() => started.child.kill('SIGKILL'), 8000)
    await started.ended
    clearTimeout(timer)
  }

  /** Ends all and removes all that was made. */
  async end(): Promise<void> {
    this.fail()
    await this.stop('agent')
    await this.stop('host')
    if (listNamespaces().includes(this.routerNamespace)) {
      for (const pid of ip('netns', 'pids', this.routerNamespace).split('\n').filter(Boolean))
        process.kill(Number(pid), 'SIGKILL')
      ip('netns', 'delete', this.routerNamespace)
    }
    if (listNamespaces().includes(this.name)) ip('netns', 'delete', this.name)
    for (const path of this.#mounts.splice(0).reverse()) run('umount', '-l', path)
    closeSync(this.#rules)
    rmSync(this.home, { recursive: true, force: true })
    rmSync(`/run/keepward-agents/${this.name}.lock`, { force: true })
  }

  #rule(text: string): void {
    writeSync(this.#rules, Buffer.from(text.padEnd(rulesBytes, '\0')), 0, rulesBytes, 0)
  }

  #inside<T>(launch: () => T extends PromiseLike<unknown> ? never : T): T {
    if (!listNamespaces().includes(this.name)) return launch()
    using namespace = openNamespace(this.name)
    return inNamespace(namespace.fd, launch)
  }
}

/** Compiles fail-calls.c beside the tests' own files; the caller removes the directory. */
export function buildShim(directory: string): string {
  chmodSync(directory, 0o755)
  const out = join(directory, 'fail-calls.so')
  const source = new URL('./fail-calls.c', import.meta.url).pathname
  run(process.env['CC'] ?? 'gcc', '-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-o', out, source)
  return out
}

export const run = (command: string, ...words: readonly string[]): string =>
  execFileSync(command, words, { encoding: 'utf8', timeout: 20_000, stdio: 'pipe' })

export const ip = (...words: readonly string[]): string => run('ip', ...words)
