import { closeSync } from 'node:fs'
import { openRootFile } from '../linux/root-file.ts'
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
  { name: 'config owner', wanted: 'root alone can change the file, and each directory on its way', look: configOwner },
  ...privilegeChecks,
  ...kernelChecks,
  ...networkChecks,
  ...softwareChecks,
  ...limitChecks,
  ...diskChecks,
]

/** As the agent asks it at each load; what it would refuse is thrown. */
function configOwner({ config: { file, state } }: Subject): Answer {
  if (state.kind === 'absent') return ok('there is no file yet')
  if (state.kind === 'hidden')
    return unknown('the file may not be read by this user', 'run it as root: sudo keepward doctor')
  closeSync(openRootFile(file))
  return ok('root alone')
}

function config({ config: { file, state, routers } }: Subject): Answer {
  switch (state.kind) {
    case 'loaded':
      return ok(`${file} is valid: ${String(routers.length)} routers`)
    case 'absent':
      return ok(`there is no ${file} yet; defaults are used`)
    case 'hidden':
      return unknown(`${file} may not be read by this user; defaults are used`, 'run it as root: sudo keepward doctor')
    case 'broken':
      return failed(state.reason, `keepward --config ${file} validate`)
  }
}
