import { jsonText } from '../../base/controls.ts'
import { KeepwardError } from '../../base/error.ts'
import type { Report } from '../report.ts'

/** Of `ha_router_agent_port_bindings.state`. */
export type NeutronState = 'active' | 'standby' | 'unknown'

const states: ReadonlyMap<unknown, NeutronState> = new Map([
  ['primary', 'active'],
  ['backup', 'standby'],
  ['fault', 'standby'],
  ['unknown', 'unknown'],
])

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/

/** What Neutron is told of it; undefined: nothing, as it is no change of role. Throws `report-refused` for what Neutron can never have. */
export function translate({ router, record }: Report): NeutronState | undefined {
  if (record.kind !== 'transition') return undefined
  const state = states.get(record.body['to'])
  if (state === undefined)
    throw new KeepwardError(
      'report-refused',
      `Neutron knows no role ${jsonText(record.body['to'] ?? null).slice(0, 40)}`,
    )
  if (!uuid.test(router))
    throw new KeepwardError(
      'report-refused',
      `Router ${jsonText(router).slice(0, 80)} is none of Neutron's: its id is no UUID in lower case`,
      { hint: 'give the router the id that Neutron knows it by' },
    )
  return state
}

/** {@link translate} where what Neutron can never have is as good as nothing. */
export function stateOf(report: Report): NeutronState | undefined {
  return report.record.kind === 'transition' ? states.get(report.record.body['to']) : undefined
}
