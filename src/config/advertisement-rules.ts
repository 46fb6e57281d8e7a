import { formatPrefix } from '../base/address.ts'
import { showDuration } from './form.ts'
import type { Path } from './problem.ts'
import { tellRepeated, type Review } from './review.ts'
import type { AdvertisementEntry } from './advertisement-schema.ts'
import type { RouterDraft } from './router-draft.ts'
import { familyOf, isLinkLocal } from './subnet.ts'

/** What keeps radvd from speaking on the day that its host becomes primary, or hosts from understanding it. */
export function checkAdvertisements(router: RouterDraft, review: Review): void {
  const found = router.routerAdvertisements.map((one, at) => ({
    key: one?.interface,
    path: [...router.path, 'routerAdvertisements', at, 'interface'],
  }))
  tellRepeated(review, found, (name, first) => `is "${name}", must differ from ${first}`)
  router.routerAdvertisements.forEach((one, index) => {
    if (one === undefined) return
    const path = [...router.path, 'routerAdvertisements', index]
    if (advertisementSource(one.interface, router.virtualAddresses) === undefined) {
      review.tell(
        [...path, 'interface'],
        `is "${one.interface}", must have a link-local virtual address, such as fe80::1/64, that hosts keep as their router`,
      )
    }
    checkPacket(one, router, path, review)
    one.prefixes.forEach(({ prefix, autonomous, validLifetime, preferredLifetime }, at) => {
      const place = [...path, 'prefixes', at]
      // RFC 4862, 5.5.3 (d): hosts ignore a prefix that does not leave 64 bits for the interface identifier.
      if (autonomous && prefix.prefixLength !== 64)
        review.tell([...place, 'prefix'], `is ${formatPrefix(prefix)}, must be a /64 unless autonomous is false`)
      if (preferredLifetime > validLifetime) {
        const wanted = `must be at most the valid lifetime, ${showDuration(validLifetime)}`
        review.tell([...place, 'preferredLifetime'], `is ${showDuration(preferredLifetime)}, ${wanted}`)
      }
    })
    one.dnsServers.forEach((address, at) => {
      if (familyOf(address) === 4) review.tell([...path, 'dnsServers', at], `is ${address}, must be an IPv6 address`)
    })
  })
}

/** What radvd would send nothing of at all, or in fragments, which hosts drop (RFC 6980, 5). */
function checkPacket(one: AdvertisementEntry, router: RouterDraft, path: Path, review: Review): void {
  const { lifetime, interval, mtu, dnsSearch } = one
  // RFC 4861, 6.2.1: AdvDefaultLifetime.
  if (lifetime !== 0 && lifetime < interval) {
    const wanted = `must be 0s or at least the interval, ${showDuration(interval)}`
    review.tell([...path, 'lifetime'], `is ${showDuration(lifetime)}, ${wanted}`)
  }
  const link = router.interfaces.find((other) => other?.name === one.interface)?.mtu
  if (mtu !== undefined && link !== undefined && mtu > link)
    review.tell([...path, 'mtu'], `is ${String(mtu)}, must be at most the MTU of ${one.interface}, ${String(link)}`)
  // RFC 8106, 5.2: each with a byte of length before its labels, and one of zero behind them.
  const bytes = dnsSearch.reduce((sum, domain) => sum + domain.length + 2, 0)
  if (bytes > maxDomainBytes) {
    const wanted = `must be at most ${String(maxDomainBytes)}, which is what one packet holds`
    review.tell([...path, 'dnsSearch'], `is ${String(bytes)} bytes long, ${wanted}`)
  }
}

/** Of the 1280 that every link carries, without the headers of IPv6 (40), the advertisement (16) and the option (8). */
const maxDomainBytes = 1216

/** The address that advertisements on an interface come from. */
export function advertisementSource(
  name: string,
  virtualAddresses: readonly (
    { readonly interface: string; readonly family: 4 | 6; readonly address: string } | undefined
  )[],
): string | undefined {
  return virtualAddresses.find((one) => one?.interface === name && one.family === 6 && isLinkLocal(one.address))
    ?.address
}
