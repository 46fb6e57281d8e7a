import type { RouterSpec } from './spec.ts'

/**
 * The interfaces on which a backup says nothing (RFC 9568, 6.4.2): all but the HA interface and those with an IPv6 address
 * that this instance holds whatever its role. All IPv6 addresses on them are virtual.
 */
export function silentInterfaces({
  haInterface,
  interfaces,
}: Pick<RouterSpec, 'haInterface' | 'interfaces'>): string[] {
  return interfaces
    .filter(({ name, addresses }) => name !== haInterface && addresses.every(({ family }) => family === 4))
    .map(({ name }) => name)
}
