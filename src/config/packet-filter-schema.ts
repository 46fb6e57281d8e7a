import { z } from 'zod'
import { absolutePath } from './form.ts'

/** What `nat` has no words for. */
export const packetFilterSchema = z.strictObject(
  {
    file: absolutePath(200).meta({
      description:
        'A text for nft(8) with whole tables, that root alone can have written. It is tried in a namespace made for it first; it must not include files, flush the ruleset or touch tables that begin with keepward_. An edit is taken over by `keepward apply`.',
      examples: ['/etc/keepward/r1.nft'],
    }),
  },
  'must be a map with the key file',
)
