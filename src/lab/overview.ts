import { hostname } from 'node:os'
import type { AgentStatus, RouterStatus } from '../agent/api.ts'
import { ageText } from '../base/age.ts'
import { paint, roleText, stateText, table, timeText } from '../text/table.ts'
import type { Lab } from './lab.ts'

/** Asks the agent behind a control socket; undefined when it does not answer. */
export type Ask = <T>(socket: string, path?: string) => Promise<T | undefined>

/** What all agents of a lab say, router by router. */
export interface LabView {
  readonly lab: string
  readonly machine: string
  readonly asOfMs: number
  readonly hosts: readonly {
    readonly name: string
    readonly answers: boolean
    readonly health: AgentStatus['health']
  }[]
  readonly routers: readonly LabRouterView[]
}

export interface LabRouterView {
  readonly id: string
  readonly address: string
  readonly primaries: number
  readonly instances: readonly { readonly host: string; readonly status: RouterStatus | undefined }[]
}

export async function seeLab(lab: Lab, ask: Ask): Promise<LabView> {
  const answers = await Promise.all(
    lab.hosts.map(async (host) => ({ host, status: await ask<AgentStatus>(host.socket) })),
  )
  return {
    lab: lab.shape.name,
    machine: hostname(),
    asOfMs: Date.now(),
    hosts: answers.map(({ host, status }) => ({
      name: host.name,
      answers: status !== undefined,
      health: status?.health ?? 'unknown',
    })),
    routers: lab.routers.map(({ id, address }) => {
      const instances = answers.map(({ host, status }) => ({
        host: host.name,
        status: status?.routers.find((one) => one.id === id),
      }))
      return { id, address, primaries: instances.filter(({ status }) => status?.role === 'primary').length, instances }
    }),
  }
}

/** Rows are routers, columns hosts; a cell says the role and for how long. */
export function renderLab({ lab, asOfMs, hosts, routers }: LabView): string {
  const titles = ['ROUTER', 'ADDRESS', ...hosts.map(({ name, answers }) => (answers ? name : `${name} (no agent)`)), '']
  const rows = routers.map(({ id, address, primaries, instances }) => [
    id,
    address,
    ...instances.map(({ status }) => cell(status)),
    primaries === 1 ? '' : stateText('bad', primaries === 0 ? 'no primary' : `${String(primaries)} primaries`),
  ])
  return `lab ${lab} as of ${timeText(asOfMs)}\n${table(titles, rows)}`
}

function cell(status: RouterStatus | undefined): string {
  if (status === undefined) return paint('gray', '- no word')
  const troubles = status.conditions.filter(({ severity }) => severity !== 'info').length
  const raised = troubles === 0 ? '' : paint('yellow', ` ▲${String(troubles)}`)
  return `${roleText(status.role, status.stale)} ${ageText(status.heldMs)}${raised}`
}
