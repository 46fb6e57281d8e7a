/**
 * The closed set of things that the core may want done to a router. Each names a verb and, at most, an interface that
 * the config declares: never text, a path, arguments or a pid. The root half reads everything else from its own config.
 */
export type RouterOperation =
  | { readonly verb: 'ensure-namespace' }
  | { readonly verb: 'ensure-interface'; readonly interface: string }
  | { readonly verb: 'remove-interface'; readonly interface: string }
  | { readonly verb: 'ensure-filter' }
  | { readonly verb: 'write-config' }
  | { readonly verb: 'start-keepalived' }
  | { readonly verb: 'reload-keepalived' }
  | { readonly verb: 'remove-router' }

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
