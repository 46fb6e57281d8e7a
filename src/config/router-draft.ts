import type { z } from 'zod'
import type { Prefix } from '../base/address.ts'
import type { Advertise, Authentication, InterfaceSpec, RouterId, VirtualAddress } from '../router/spec.ts'
import type { AdvertisementEntry } from './advertisement-schema.ts'
import { defaultMarker, defaultNamespace, vrrpFamily } from './derived.ts'
import { interfaceName } from './form.ts'
import type { HookEntry } from './hook-schema.ts'
import type { Path } from './problem.ts'
import { routerShape, type RouteEntry } from './router-schema.ts'
import type { MetadataEntry } from './metadata-schema.ts'
import { isMap, valueAt } from './schema-findings.ts'

/**
 * What can be understood of a router although some of it may be broken, so that cross-checks speak in the same run as
 * everything else. Undefined is what the schema refused or what is missing; lists keep the places of refused items.
 */
export interface RouterDraft {
  readonly path: Path
  readonly id: RouterId | undefined
  readonly vrid: number | undefined
  readonly namespace: string | undefined
  readonly vrrpVersion: 2 | 3 | undefined
  readonly advertisementIntervalMs: number | undefined
  readonly haInterface: string | undefined
  readonly advertise: Advertise | undefined
  readonly authentication: Authentication | undefined
  /** Of the advertisements. */
  readonly family: 4 | 6 | undefined
  readonly marker: Prefix | undefined
  readonly hasOwnMarker: boolean
  readonly track: readonly (string | undefined)[]
  readonly uniqueAddresses: boolean
  readonly interfaces: readonly (InterfaceSpec | undefined)[]
  /** Names of all interfaces that stand in the list, broken ones included. */
  readonly interfaceNames: readonly string[]
  readonly virtualAddresses: readonly (VirtualAddress | undefined)[]
  readonly virtualRoutes: readonly (RouteEntry | undefined)[]
  readonly metadata: MetadataEntry | undefined
  readonly hooks: readonly (HookEntry | undefined)[]
  readonly routerAdvertisements: readonly (AdvertisementEntry | undefined)[]
}

export function draftRouters(config: unknown): RouterDraft[] {
  const routers = valueAt(config, ['routers'])
  return Array.isArray(routers) ? routers.map((raw, index) => draftRouter(raw, ['routers', index])) : []
}

function draftRouter(raw: unknown, path: Path): RouterDraft {
  const fields = isMap(raw) ? raw : {}
  const shape = routerShape
  const id = lenient(shape.id, fields['id'])
  const vrid = lenient(shape.vrid, fields['vrid'])
  const ha = lenient(shape.ha, fields['ha'])
  const virtualAddresses = lenientList(shape.virtualAddresses, fields['virtualAddresses'])
  const hasOwnMarker = fields['marker'] !== undefined
  const ownMarker = lenient(shape.marker, fields['marker'])
  const family = ha && vrrpFamily({ advertise: ha.advertise, ownMarker, virtualAddresses })
  return {
    path,
    id,
    vrid,
    namespace:
      fields['namespace'] === undefined ? id && defaultNamespace(id) : lenient(shape.namespace, fields['namespace']),
    vrrpVersion: lenient(shape.vrrpVersion, fields['vrrpVersion']),
    advertisementIntervalMs: lenient(shape.advertisementInterval, fields['advertisementInterval']),
    haInterface: lenient(interfaceName, valueAt(fields, ['ha', 'interface'])),
    advertise: ha?.advertise,
    authentication: lenient(shape.authentication, fields['authentication']),
    family,
    marker: hasOwnMarker ? ownMarker : vrid && family ? defaultMarker(vrid, family) : undefined,
    hasOwnMarker,
    track: lenientList(shape.track.unwrap(), fields['track']),
    uniqueAddresses: fields['uniqueAddresses'] !== false,
    interfaces: lenientList(shape.interfaces, fields['interfaces']),
    interfaceNames: namesOf(fields['interfaces']),
    virtualAddresses,
    virtualRoutes: lenientList(shape.virtualRoutes, fields['virtualRoutes']),
    metadata: lenient(shape.metadata, fields['metadata']),
    hooks: lenientList(shape.hooks, fields['hooks']),
    routerAdvertisements: lenientList(shape.routerAdvertisements, fields['routerAdvertisements']),
  }
}

function lenient<S extends z.ZodType>(schema: S, raw: unknown): z.output<S> | undefined {
  const result = schema.safeParse(raw)
  return result.success ? result.data : undefined
}

/** Judges each item of a list by itself; what is no list has no items. */
function lenientList<E extends z.ZodType>(list: ListSchema<E>, raw: unknown): (z.output<E> | undefined)[] {
  const { element } = 'element' in list ? list : list.unwrap()
  return Array.isArray(raw) ? raw.map((item) => lenient(element, item)) : []
}

type ListSchema<E extends z.ZodType> = z.ZodArray<E> | z.ZodPrefault<z.ZodArray<E>>

function namesOf(interfaces: unknown): string[] {
  const items: unknown[] = Array.isArray(interfaces) ? interfaces : []
  return items.map((item) => valueAt(item, ['name'])).filter((name) => typeof name === 'string')
}
