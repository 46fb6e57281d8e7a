import { tellRepeated, type Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'

export function checkAuthentication(router: RouterDraft, review: Review): void {
  passwordFitsVersion(router, review)
  activeKeyIsThere(router, review)
}

/** RFC 5798, section 9: VRRPv3 has no password, and keepalived ignores what is set. */
function passwordFitsVersion(router: RouterDraft, review: Review): void {
  if (router.vrrpVersion !== 3 || router.authentication?.kind !== 'pass') return
  const wanted = 'must be none or hmac: VRRPv3 has no password'
  review.tell([...router.path, 'authentication'], `names a password, ${wanted}`)
}

function activeKeyIsThere(router: RouterDraft, review: Review): void {
  if (router.authentication?.kind !== 'hmac') return
  const { keys, activeKey } = router.authentication
  const at = [...router.path, 'authentication', 'hmac']
  const found = keys.map(({ id: key }, index) => ({ key, path: [...at, 'keys', index, 'id'] }))
  tellRepeated(review, found, (id, first) => `is ${id}, must differ from ${first}`)
  if (keys.some(({ id }) => id === activeKey)) return
  const ids = keys.map(({ id }) => id).join(', ')
  review.tell([...at, 'activeKey'], `is ${activeKey}, must be the id of one of the keys: ${ids}`)
}
