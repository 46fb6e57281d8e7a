import { Command } from 'commander'
import { dirname, join } from 'node:path'
import type { AgentStatus } from '../agent/api.ts'
import { KeepwardError } from '../base/error.ts'
import { demo } from '../lab/demo.ts'
import { downLab, Lab, labsDirectory } from '../lab/lab.ts'
import { renderLab, seeLab, type LabView } from '../lab/overview.ts'
import { startProbe } from '../lab/probe.ts'
import type { LabShape } from '../lab/topology.ts'
import { callAt } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import { timeText } from '../text/table.ts'

interface LabOptions {
  readonly name: string
  readonly dir?: string
}

/** `keepward lab`: simulated hosts with real agents and real keepalived, on this machine alone. */
export function labCommand(ended: (status: number) => void, wantsJson: () => boolean): Command {
  const lab = new Command('lab').description('hosts made of namespaces, with real agents and real keepalived')
  lab
    .option('--name <name>', 'which lab', 'lab')
    .option('--dir <path>', `where it lies (default: ${labsDirectory}/<name>)`)
  const directory = () => lab.opts<LabOptions>().dir ?? join(labsDirectory, lab.opts<LabOptions>().name)
  const find = () => Lab.find(directory(), program())
  const say = (text: string, value: unknown) => {
    process.stdout.write(`${wantsJson() ? JSON.stringify(value) : text}\n`)
  }
  /** A verb that changes something and has nothing to show. */
  const verb = (usage: string, what: string, act: (lab: Lab, ...words: string[]) => unknown) =>
    lab
      .command(usage)
      .description(what)
      .action(async (...given: unknown[]) => {
        const words = given.slice(0, -2).map((word) => (typeof word === 'string' ? word : ''))
        await act(find(), ...words)
        say('done', { ok: true })
        ended(ExitStatus.ok)
      })

  shapeOptions(lab.command('up').description('make it and start it')).action(async (options: ShapeOptions) => {
    const shape = shapeOf(lab.opts<LabOptions>().name, directory(), options)
    const made = await Lab.up(shape, program())
    say(
      `lab ${shape.name} is up: ${String(made.hosts.length)} hosts, ${String(made.routers.length)} routers in ${shape.directory}`,
      shape,
    )
    ended(ExitStatus.ok)
  })
  lab
    .command('status')
    .description('every router on every host, as its agent says')
    .action(async () => {
      const view = await seeLab(find(), ask)
      say(renderLab(view), view)
      ended(labStatus(view))
    })
  verb('kill-host <host>', 'the power goes: agent and every keepalived end without a word', (it, host = '') =>
    it.killHost(host),
  )
  verb('start-host <host>', 'the host comes back', (it, host = '') => {
    it.startHost(host)
  })
  verb('cut <host>', 'cut the host’s HA link', (it, host = '') => {
    it.cut(host)
  })
  verb('heal [host]', 'mend every link, or those of one host', (it, host = '') => {
    it.heal(host === '' ? undefined : host)
  })
  verb('kill-keepalived <host> <router>', 'SIGKILL to both its processes', (it, host = '', router = '') =>
    it.killKeepalived(host, router),
  )
  verb('kill-agent <host>', 'SIGKILL to the agent; keepalived runs on', (it, host = '') => it.killAgent(host))
  verb('start-agent <host>', 'start the agent again', (it, host = '') => {
    it.startAgent(host)
  })
  lab
    .command('pause <host> [router]')
    .description('stop the agent, or one keepalived, and let it go on')
    .option('--seconds <n>', 'for so long', '10')
    .action(async (host: string, router: string | undefined, { seconds }: { seconds: string }) => {
      await find().pause(host, router, positive('--seconds', seconds) * 1000)
      say('done', { ok: true })
      ended(ExitStatus.ok)
    })
  lab
    .command('probe <router>')
    .description('ping the router’s virtual address from the client and report the longest gap')
    .option('--seconds <n>', 'for so long', '10')
    .option('--interval <ms>', 'between two pings', '10')
    .action(async (router: string, options: { seconds: string; interval: string }) => {
      const it = find()
      const maxSeconds = positive('--seconds', options.seconds)
      const probe = startProbe(it.shape.name, it.router(router).address, {
        intervalMs: positive('--interval', options.interval),
        maxSeconds,
      })
      await new Promise((resolve) => setTimeout(resolve, maxSeconds * 1000))
      const result = await probe.stop()
      const from = timeText(result.gapFromMs)
      say(
        `${result.address}: ${String(result.answered)} of ${String(result.sent)} answered, longest gap ${result.longestGapMs.toFixed(0)} ms from ${from}`,
        result,
      )
      ended(result.answered > 0 ? ExitStatus.ok : ExitStatus.critical)
    })
  lab
    .command('down')
    .description('remove it, whole or in ruins')
    .action(async () => {
      const removed = await downLab(lab.opts<LabOptions>().name, directory())
      say(`removed ${String(removed.processes)} processes and ${String(removed.namespaces)} namespaces`, removed)
      ended(ExitStatus.ok)
    })
  shapeOptions(
    lab.command('demo').description('bring a lab up, kill the host of a primary, tell what happened, clean up'),
  )
    .option('--stay', 'leave the lab up and live', false)
    .action(async (options: ShapeOptions & { stay: boolean }) => {
      await demo(shapeOf(lab.opts<LabOptions>().name, directory(), options), program(), ask, options.stay)
      ended(ExitStatus.ok)
    })
  return lab
}

interface ShapeOptions {
  readonly hosts: string
  readonly routers: string
  readonly advert: string
  readonly vrrp: string
}

function shapeOptions(command: Command): Command {
  return command
    .option('--hosts <n>', 'how many hosts', '3')
    .option('--routers <n>', 'how many routers, each on every host', '6')
    .option('--advert <interval>', 'advertisement interval', '1s')
    .option('--vrrp <version>', 'VRRP version', '3')
}

function shapeOf(name: string, directory: string, { hosts, routers, advert, vrrp }: ShapeOptions): LabShape {
  if (vrrp !== '2' && vrrp !== '3') throw new KeepwardError('request-invalid', `--vrrp is ${vrrp}, must be 2 or 3`)
  return {
    name,
    directory,
    hosts: positive('--hosts', hosts),
    routers: positive('--routers', routers),
    advertisementInterval: advert,
    vrrpVersion: vrrp === '2' ? 2 : 3,
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0 && value <= 86_400) return value
  throw new KeepwardError('request-invalid', `${option} is ${text}, must be a number above 0`)
}

/** This very program, for the agents of the lab. */
const program = (): string => join(dirname(process.argv[1] ?? ''), '..', 'bin', 'keepward')

/** An agent's status; undefined when it does not answer. */
async function ask<T = AgentStatus>(socket: string, path = '/v1/status'): Promise<T | undefined> {
  try {
    return await callAt<T>(socket, 'GET', path)
  } catch (error) {
    if (error instanceof KeepwardError && error.code === 'agent-unreachable') return undefined
    throw error
  }
}

function labStatus(view: LabView): number {
  if (view.routers.some(({ primaries }) => primaries !== 1)) return ExitStatus.critical
  return view.hosts.some(({ answers }) => !answers) ? ExitStatus.degraded : ExitStatus.ok
}
