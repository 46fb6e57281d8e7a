import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from './until.ts'

const versions = '/usr/lib/rabbitmq/lib'
const run = promisify(execFile)

/** Debian's own, unmodified; installed under the policy of script/setup, which starts no service. */
export function installRabbitmq(): void {
  const packages = ['rabbitmq-server', 'python3-oslo.messaging']
  if (existsSync(versions) && existsSync('/usr/lib/python3/dist-packages/oslo_messaging')) return
  const setup = new URL('../../script/setup', import.meta.url).pathname
  execFileSync(setup, ['--with', ...packages], { stdio: 'inherit', timeout: 600_000 })
}

export const brokerUser = { user: 'neutron', password: 'not-guest' } as const

/** A RabbitMQ with a node name, a cookie, a port mapper, ports and files of its own, on 127.0.0.1. */
export class Rabbitmq implements AsyncDisposable {
  readonly directory: string
  readonly port: number
  /** With TLS, where it has certificates. */
  readonly tlsPort: number
  readonly #environment: NodeJS.ProcessEnv
  readonly #portMapper: ChildProcess
  #broker: ChildProcess | undefined

  private constructor(
    directory: string,
    ports: readonly [number, number],
    environment: NodeJS.ProcessEnv,
    portMapper: ChildProcess,
  ) {
    this.directory = directory
    this.port = ports[0]
    this.tlsPort = ports[1]
    this.#environment = environment
    this.#portMapper = portMapper
  }

  /** `certificates`: a directory with ca.pem, server.pem and server.key; `clients`: whoever has none of that CA is refused. */
  static async start(certificates?: string, clients: 'any' | 'certified' = 'any'): Promise<Rabbitmq> {
    const directory = mkdtempSync(join(tmpdir(), 'keepward-rabbitmq-'))
    const [port, tlsPort, distribution, mapper] = await freePorts()
    writeFileSync(join(directory, 'rabbitmq.conf'), configText(port, tlsPort, certificates, clients === 'certified'))
    writeFileSync(join(directory, 'plugins'), '[].')
    writeFileSync(join(directory, '.erlang.cookie'), randomBytes(12).toString('hex'), { mode: 0o400 })
    const environment = {
      PATH: process.env['PATH'],
      HOME: directory,
      // The shell that starts it gives way to it, so that its pid is the broker's.
      RUNNING_UNDER_SYSTEMD: 'yes',
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_NODENAME: `keepward-${randomBytes(4).toString('hex')}@localhost`,
      RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
      RABBITMQ_LOG_BASE: join(directory, 'log'),
      RABBITMQ_CONFIG_FILE: join(directory, 'rabbitmq.conf'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'plugins'),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none',
      ERL_EPMD_PORT: String(mapper),
      ERL_EPMD_ADDRESS: '127.0.0.1',
    }
    // Else the broker starts one that outlives it.
    const portMapper = spawn(portMapperProgram(), ['-port', String(mapper), '-address', '127.0.0.1'], {
      stdio: 'ignore',
    })
    await until('the port mapper listens', () => accepts(mapper))
    const broker = new Rabbitmq(directory, [port, tlsPort], environment, portMapper)
    await broker.startBroker()
    return broker
  }

  /** After {@link kill}, with the files that it had. */
  async startBroker(): Promise<void> {
    const log = openSync(join(this.directory, 'output'), 'a')
    this.#broker = spawn(join(programs(), 'rabbitmq-server'), [], {
      env: this.#environment,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    await until(
      'RabbitMQ takes connections',
      () => {
        if (this.#broker?.exitCode !== null) throw new Error(readFileSync(join(this.directory, 'output'), 'utf8'))
        return accepts(this.port)
      },
      60_000,
    )
  }

  /** As a crash or a power cut does. */
  async kill(): Promise<void> {
    await ended(this.#broker)
  }

  /** `rabbitmqctl`; resolves with what it says. */
  async control(...words: readonly string[]): Promise<string> {
    const program = join(programs(), 'rabbitmqctl')
    const { stdout } = await run(program, ['-q', ...words], { env: this.#environment, timeout: 60_000 })
    return stdout
  }

  /** A virtual host in which nobody was before. */
  async addVirtualHost(name: string): Promise<string> {
    await this.control('add_vhost', name)
    await this.control('set_permissions', '-p', name, brokerUser.user, '.*', '.*', '.*')
    return name
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#broker)
    await ended(this.#portMapper)
    rmSync(this.directory, { recursive: true })
  }
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const over = once(child, 'exit')
  child.kill('SIGKILL')
  await over
}

function configText(port: number, tlsPort: number, certificates: string | undefined, asks: boolean): string {
  const lines = [
    `listeners.tcp.1 = 127.0.0.1:${String(port)}`,
    `default_user = ${brokerUser.user}`,
    `default_pass = ${brokerUser.password}`,
    'log.file.level = warning',
    'log.console = false',
    'disk_free_limit.absolute = 1MB',
    'queue_index_embed_msgs_below = 4096',
  ]
  const tls = [
    `listeners.ssl.1 = 127.0.0.1:${String(tlsPort)}`,
    `ssl_options.cacertfile = ${certificates ?? ''}/ca.pem`,
    `ssl_options.certfile = ${certificates ?? ''}/server.pem`,
    `ssl_options.keyfile = ${certificates ?? ''}/server.key`,
    `ssl_options.verify = ${asks ? 'verify_peer' : 'verify_none'}`,
    `ssl_options.fail_if_no_peer_cert = ${String(asks)}`,
  ]
  return `${[...lines, ...(certificates === undefined ? [] : tls)].join('\n')}\n`
}

/** Debian's wrapper of the same name changes the user and the environment. */
const programs = (): string => join(versions, theOnly(versions, 'rabbitmq_server-'), 'sbin')
const portMapperProgram = (): string => join('/usr/lib/erlang', theOnly('/usr/lib/erlang', 'erts-'), 'bin/epmd')

function theOnly(directory: string, start: string): string {
  const found = readdirSync(directory).find((name) => name.startsWith(start))
  if (found === undefined) throw new Error(`There is no ${start}* in ${directory}`)
  return found
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1', () => {
    resolve(true)
  })
  socket.on('error', () => {
    resolve(false)
  })
  return promise.finally(() => socket.destroy())
}

async function freePorts(): Promise<readonly [number, number, number, number]> {
  const servers = [0, 1, 2, 3].map(() => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const [one = 0, two = 0, three = 0, four = 0] = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return [one, two, three, four]
}
