/**
 * Concerns of the packet filter, each with a table of its own in the router's namespace: who may speak VRRP to it, address
 * translation, who may tell of flows, and what an operator's file says.
 */
export const tableNames = ['vrrp', 'nat', 'flows', 'operator'] as const
export type TableName = (typeof tableNames)[number]

/**
 * The closed set of things that the core may want done to a router. Each names a verb and, at most, an interface that
 * the config declares or a table: never text, a path, arguments or a pid. The root half reads everything else from its own config.
 */
export type RouterOperation =
  | { readonly verb: 'ensure-namespace' }
  | { readonly verb: 'ensure-interface'; readonly interface: string }
  | { readonly verb: 'remove-interface'; readonly interface: string }
  | { readonly verb: 'ensure-table'; readonly table: TableName }
  | { readonly verb: 'write-config' }
  | { readonly verb: 'start-keepalived' }
  | { readonly verb: 'reload-keepalived' }
  | { readonly verb: 'remove-router' }

/** The words for what an operation names beside its router, with a space before them. */
export function objectOf(operation: object): string {
  if ('interface' in operation) return ` ${String(operation.interface)}`
  return 'table' in operation ? ` ${String(operation.table)}` : ''
}

/** One step from what is observed to what is wanted. */
export interface Step {
  readonly operation: RouterOperation
  /** What is done, for a person: `create interface ha0 on bridge br-ha`. */
  readonly text: string
  /** The step may make this instance gain or lose the primary role. */
  readonly movesRole: boolean
}

/** How an operation ended; `code` is an error code, `text` a sentence. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly text: string }
