import { spawn } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KeepwardError } from '../../src/base/error.ts'
import { run } from '../../src/linux/run.ts'
import { until } from '../until.ts'

/** A server that takes state changes. */
export interface Server {
  readonly name: string
  readonly socket: string
}

const python = '/usr/bin/python3'
/** g1 (docs/bench.md); another release's server is another program. */
const generation = /^(\d+:)?21\./

/** Whether the Neutron whose figures are stored can be measured here. */
export async function hasNeutron(): Promise<boolean> {
  const argv = ['dpkg-query', '-W', '-f', '${db:Status-Status} ${Version}', 'python3-neutron']
  const [status, version] = await run(argv, { exitCodes: [0, 1] }).then(
    ({ stdout }) => stdout.split(' '),
    (error: unknown) => {
      if (error instanceof KeepwardError && error.code === 'command-missing') return []
      throw error
    },
  )
  return status === 'installed' && generation.test(version ?? '')
}

/** Start Neutron's own server in a directory of its own; every local user may connect. It dies with us. */
export async function startNeutron(directory: string): Promise<Server & Disposable> {
  mkdirSync(directory, { mode: 0o711 })
  const runner = new URL('neutron-server.py', import.meta.url).pathname
  const output = join(directory, 'output')
  const said = openSync(output, 'a', 0o600)
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', python, runner, directory], {
    stdio: ['ignore', 'pipe', said],
    cwd: '/',
  })
  closeSync(said)
  let ready = false
  child.stdout?.once('data', () => {
    ready = true
  })
  const socket = join(directory, 'keepalived-state-change')
  try {
    await until('Neutron listens', 60_000, () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new KeepwardError('lab-failed', `Neutron's server ended: ${readFileSync(output, 'utf8').slice(-500)}`)
      return ready
    })
    chmodSync(socket, 0o666)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return { name: 'neutron', socket, [Symbol.dispose]: () => void child.kill('SIGKILL') }
}
