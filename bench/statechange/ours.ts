import { chmodSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { signalAll, writeHost } from '../../src/lab/processes.ts'
import { configText } from '../routers.ts'
import { until } from '../until.ts'
import type { World, WorldHost } from '../world.ts'
import type { Server } from './peer.ts'

/** A user without a right to anything. */
export const stranger = 65534

/** Who may reach our socket, and speak on it. The defaults, then what a flood of a stranger needs to come in at all. */
export const policies = {
  defaults: '',
  refused: 'stateChange: { openToAll: true }\n',
  allowed: `stateChange: { openToAll: true, senders: [{ uid: ${stranger} }] }\n`,
} as const

/** Routers with a namespace and a keepalived; of the others in the load the agent keeps claims. */
const routers = 20

/** Start the real agent with a policy, or start it anew with another one; waits until it takes state changes. */
export async function startOurs(world: World, host: WorldHost, policy: keyof typeof policies): Promise<Server> {
  const { lab, agent, runDirectory } = host
  const state = join(lab.directory, 'state')
  const plans = Array.from({ length: routers }, (_, index) => world.plan(host, index + 1))
  writeHost(lab, configText({ agent, state, run: runDirectory }, plans) + policies[policy], undefined)
  // A start takes what was applied last; without it, the file.
  rmSync(`${lab.config}.applied`, { force: true })
  // On the way to the socket nobody is held up, who is let in is for the server to say.
  for (const directory of [world.directory, lab.directory]) chmodSync(directory, 0o711)
  world.start(host)
  await world.settle(host, routers, ['backup', 'primary'])
  const socket = join(state, 'keepalived-state-change')
  await until('the agent takes state changes', 10_000, () => existsSync(socket))
  return { name: 'keepward', socket }
}

/** keepalived runs on, and is adopted by the next agent. */
export async function stopOurs(world: World, host: WorldHost): Promise<void> {
  await signalAll([world.agentPid(host)], 'SIGTERM')
}
