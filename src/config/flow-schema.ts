import { z } from 'zod'
import { wholeNumber } from './form.ts'

/** How the primary's flows come to the other host. */
export const flowSchema = z.strictObject(
  {
    port: wholeNumber(1, 65535).prefault(3780).meta({
      description: 'UDP port at both ends, between the HA addresses of the two hosts. The same on both.',
    }),
  },
  'must be a map with the key port, or {}',
)

export type FlowEntry = z.output<typeof flowSchema>
