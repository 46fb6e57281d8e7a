import type { Review } from './review.ts'
import type { RouterDraft } from './router-draft.ts'

/** Instances reach the proxy only where the router has the address. */
export function checkMetadata({ metadata, virtualAddresses, path }: RouterDraft, review: Review): void {
  metadata?.addresses.forEach((address, at) => {
    if (virtualAddresses.some((one) => one?.address === address)) return
    const wanted = `must be a virtual address of the router, such as ${address}/${address.includes(':') ? '128' : '32'}`
    review.tell([...path, 'metadata', 'addresses', at], `is ${address}, ${wanted}`)
  })
}
