import type { Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { stateChangeSchema } from './state-change-schema.ts'
import { valueAt } from './schema-findings.ts'

/** What must fit together between those who may speak and how they reach the socket. */
export function checkStateChange(config: unknown, routers: readonly RouterDraft[], review: Review): void {
  const entry = stateChangeSchema.safeParse(valueAt(config, ['stateChange'])).data
  if (entry === undefined) return
  const { senders, socketGroup, openToAll, unknownRouters } = entry
  if (socketGroup !== undefined && openToAll !== undefined) {
    review.tell(['stateChange', 'openToAll'], 'is true beside socketGroup, must be one of the two')
  }
  const reachable = socketGroup !== undefined || openToAll !== undefined
  const ids = new Set<string | undefined>(routers.map(({ id }) => id))
  const keys = new Set<string>()
  for (const [index, { user, uid, group, gid, key, routers: spoken = [] }] of senders.entries()) {
    const path = ['stateChange', 'senders', index]
    const other = user !== undefined || group !== undefined || gid !== undefined || (uid !== undefined && uid !== 0)
    if (other && !reachable) {
      review.tell(path, 'cannot open the socket, stateChange must have socketGroup, or openToAll: true')
    }
    // Otherwise the routers are somebody else's, as Neutron's are.
    for (const [at, router] of unknownRouters === 'strict' ? spoken.entries() : []) {
      if (!ids.has(router)) review.tell([...path, 'routers', at], `is "${router}", must be a router of this file`)
    }
    if (key === undefined) continue
    if (ids.has(key.id)) review.tell([...path, 'key', 'id'], `is "${key.id}", must not be the id of a router`)
    if (keys.has(key.id)) review.tell([...path, 'key', 'id'], `is "${key.id}", must differ from that of another sender`)
    keys.add(key.id)
  }
}
