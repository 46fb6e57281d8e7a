import type { Advertise, InterfaceSpec } from '../router/spec.ts'
import type { Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { pathsSchema } from './schema.ts'
import { valueAt } from './schema-findings.ts'
import { familyOf, isLinkLocal } from './subnet.ts'

/** unix(7): 108 bytes with the NUL at the end. */
const longestSocketPath = 107

/** Between which two addresses flows are told; undefined where one is not known. */
export function flowEnds(
  advertise: Advertise,
  ha: InterfaceSpec | undefined,
): { readonly source: string; readonly peer: string } | undefined {
  const [peer] = advertise.peers ?? []
  if (peer === undefined) return undefined
  const source = advertise.kind === 'unicast' ? advertise.source : sourceTowards(peer, ha)
  return source === undefined ? undefined : { source, peer }
}

/** That which keepalived advertises from to a group. */
function sourceTowards(peer: string, ha: InterfaceSpec | undefined): string | undefined {
  const isSuch = (address: string) => familyOf(address) === familyOf(peer) && isLinkLocal(address) === isLinkLocal(peer)
  return ha?.addresses.find(({ address }) => isSuch(address))?.address
}

/** conntrackd tells flows to one other over UDP, from an address that the other has declared. */
export function checkFlows(router: RouterDraft, review: Review): void {
  const { advertise, connectionTracking, path } = router
  if (connectionTracking === undefined || advertise === undefined) return
  const at = [...path, 'connectionTracking']
  if (advertise.peers === undefined) {
    review.tell(at, 'must come with ha.unicast or ha.multicast.peers: nobody else may tell of flows')
  } else if (advertise.peers.length !== 1) {
    const count = String(advertise.peers.length)
    const peers = review.name([...path, 'ha', advertise.kind, 'peers'])
    review.tell(
      at,
      `must come with exactly one peer, not ${count} (${peers}): conntrackd tells flows to one other host`,
    )
  } else if (
    flowEnds(
      advertise,
      router.interfaces.find((one) => one?.name === router.haInterface),
    ) === undefined
  ) {
    const peer = advertise.peers[0] ?? ''
    review.tell(at, `must come with an address of the HA interface that the peer ${peer} can be reached from`)
  }
}

/** In the directory of whichever process is root's. */
export function checkFlowSockets(config: unknown, routers: readonly RouterDraft[], review: Review): void {
  const paths = pathsSchema.safeParse(valueAt(config, ['paths'])).data
  if (paths === undefined) return
  for (const directory of ['run', 'host'] as const) {
    const flowing = routers.filter(({ connectionTracking }) => connectionTracking !== undefined)
    const lengths = flowing.map(({ id = '' }) => `${paths[directory]}/routers/${id}/flows.sock`.length)
    const excess = Math.max(0, ...lengths) - longestSocketPath
    if (excess <= 0) continue
    const wanted = `must be at least ${String(excess)} characters shorter: a socket of each router with connectionTracking is in it`
    review.tell(['paths', directory], `is "${paths[directory]}", ${wanted}`)
  }
}
