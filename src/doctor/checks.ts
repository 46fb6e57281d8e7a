import { countText } from '../base/count.ts'
import { failed, ok, unknown, type Answer, type Check } from './check.ts'
import { diskChecks } from './disk.ts'
import { kernelChecks } from './kernel.ts'
import { limitChecks } from './limits.ts'
import { networkChecks } from './network.ts'
import { privilegeChecks } from './privilege.ts'
import { softwareChecks } from './software.ts'
import type { Subject } from './subject.ts'

/** Everything that a host is checked for, in the order in which it is shown. */
export const allChecks: readonly Check[] = [
  { name: 'config', wanted: 'valid, or none yet', look: config },
  ...privilegeChecks,
  ...kernelChecks,
  ...networkChecks,
  ...softwareChecks,
  ...limitChecks,
  ...diskChecks,
]

function config({ config: { file, state, routers } }: Subject): Answer {
  switch (state.kind) {
    case 'loaded':
      return ok(`${file} is valid: ${countText(routers.length, 'router')}`)
    case 'absent':
      return ok(`there is no ${file} yet; defaults are used`)
    case 'hidden':
      return unknown(`${file} may not be read by this user; defaults are used`, 'run it as root: sudo keepward doctor')
    case 'broken':
      return failed(state.reason, `keepward --config ${file} validate`)
  }
}
