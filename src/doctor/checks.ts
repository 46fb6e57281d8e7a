import type { Check } from './check.ts'
import { diskChecks } from './disk.ts'
import { kernelChecks } from './kernel.ts'
import { limitChecks } from './limits.ts'
import { networkChecks } from './network.ts'
import { privilegeChecks } from './privilege.ts'
import { softwareChecks } from './software.ts'
import { configChecks } from './trust.ts'

/** Everything that a host is checked for, in the order in which it is shown. */
export const allChecks: readonly Check[] = [
  ...configChecks,
  ...privilegeChecks,
  ...kernelChecks,
  ...networkChecks,
  ...softwareChecks,
  ...limitChecks,
  ...diskChecks,
]
