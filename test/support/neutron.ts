import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './until.ts'

const program = '/usr/bin/neutron-keepalived-state-change'

/** Debian's own, unmodified; installed under the policy of script/setup, which starts no service. */
export function installNeutron(): void {
  if (existsSync(program)) return
  const setup = new URL('../../script/setup', import.meta.url).pathname
  execFileSync(setup, ['--with', 'neutron-l3-agent'], { stdio: 'inherit', timeout: 600_000 })
}

export interface MonitorOptions {
  /** Of its own. */
  readonly directory: string
  readonly router: string
  readonly namespace: string
  readonly interface: string
  /** Address with prefix length. */
  readonly marker: string
  /** Holds the socket. */
  readonly statePath: string
}

/** A `neutron-keepalived-state-change`, started as Neutron's agent starts it. */
export class NeutronMonitor {
  readonly #directory: string
  readonly pid: number

  private constructor(directory: string, pid: number) {
    this.#directory = directory
    this.pid = pid
  }

  static async start(options: MonitorOptions): Promise<NeutronMonitor> {
    const { directory } = options
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const pidFile = join(directory, 'monitor.pid')
    const words = {
      router_id: options.router,
      namespace: options.namespace,
      conf_dir: directory,
      'log-file': join(directory, 'monitor.log'),
      monitor_interface: options.interface,
      monitor_cidr: options.marker,
      pid_file: pidFile,
      state_path: options.statePath,
      user: '0',
      group: '0',
    }
    const args = Object.entries(words).map(([name, value]) => `--${name}=${value}`)
    execFileSync(program, args, { stdio: 'ignore', timeout: 30_000, cwd: '/' })
    const pid = await until('the monitor has written its pid', () => {
      const text = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : ''
      return text !== '' && Number(text)
    })
    return new NeutronMonitor(directory, pid)
  }

  /** What it last wrote into its state file. */
  get state(): string {
    const file = join(this.#directory, 'state')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  get lives(): boolean {
    return existsSync(`/proc/${String(this.pid)}`)
  }

  /** Ends only the process that was started here. */
  async stop(): Promise<void> {
    const own = () => this.lives && readFileSync(`/proc/${String(this.pid)}/cmdline`, 'utf8').includes(this.#directory)
    if (own()) process.kill(this.pid, 'SIGTERM')
    // One that waits for an answer for ever does not hear it.
    const ended = await until('the monitor has ended', () => !own(), 5000).then(
      () => true,
      () => false,
    )
    if (!ended && own()) process.kill(this.pid, 'SIGKILL')
    await until('the monitor was ended', () => !own(), 5000)
  }
}
