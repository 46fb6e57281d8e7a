import { formatPrefix } from '../base/address.ts'
import { heldAddresses } from './held-address.ts'
import type { Path } from './problem.ts'
import { tellRepeated, type Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'
import { familyOf } from './subnet.ts'

/** Outer addresses are those that move with the role: what is translated to another is answered to nobody. */
export function checkNat(router: RouterDraft, review: Review): void {
  const { nat } = router
  if (nat === undefined) return
  const path = [...router.path, 'nat']
  nat.source.forEach(({ from, to }, index) => {
    const place = [...path, 'source', index]
    isVirtual(router, to, [...place, 'to'], review)
    from.forEach((prefix, at) => {
      if (prefix.family === familyOf(to)) return
      const wanted = `must be IPv${String(familyOf(to))} as ${to}, which it is translated to`
      review.tell([...place, 'from', at], `is ${formatPrefix(prefix)}, ${wanted}`)
    })
  })
  nat.floating.forEach(({ inside, outside }, index) => {
    const place = [...path, 'floating', index]
    isVirtual(router, outside, [...place, 'outside'], review)
    if (familyOf(inside) !== familyOf(outside))
      review.tell([...place, 'inside'], `is ${inside}, must be IPv${String(familyOf(outside))} as ${outside}`)
    const own = heldAddresses(router).find(({ prefix }) => prefix.address === inside)
    if (own !== undefined)
      review.tell(
        [...place, 'inside'],
        `is ${inside}, the router's own address (${review.name(own.path)}), must be another's`,
      )
  })
  for (const side of ['outside', 'inside'] as const) {
    const found = nat.floating.map((one, at) => ({ key: one[side], path: [...path, 'floating', at, side] }))
    tellRepeated(review, found, (address, first) => `is ${address}, must differ from ${first}`)
  }
}

function isVirtual({ virtualAddresses }: RouterDraft, address: string, path: Path, review: Review): void {
  if (virtualAddresses.some((one) => one === undefined || one.address === address)) return
  const wanted = `must be a virtual address of the router, such as ${address}/${address.includes(':') ? '64' : '24'}`
  review.tell(path, `is ${address}, ${wanted}`)
}
