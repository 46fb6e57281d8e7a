import { createHash } from 'node:crypto'
import { parseRouterId, type RouterId } from '../router/spec.ts'

/**
 * Ownership lives in the kernel, so that a lost state directory costs nothing: what we make bears the interface alias
 * `keepward:<agent>:<router>`, a namespace bears it on its `lo`. Nothing without the mark is ever removed.
 */
export const markOf = (agent: string, router: RouterId): string => `keepward:${agent}:${router}`

/** The router that a mark of this agent names; undefined for other agents' marks and for none. */
export function routerOfMark(agent: string, alias: string | undefined): RouterId | undefined {
  const prefix = `keepward:${agent}:`
  return alias?.startsWith(prefix) === true ? parseRouterId(alias.slice(prefix.length)) : undefined
}

/** Name of a veth pair's outer end in the host's namespace: the same at every start, within IFNAMSIZ. */
export function outerName(agent: string, router: RouterId, inner: string): string {
  return `kw${createHash('sha256').update(`${agent}/${router}/${inner}`).digest('hex').slice(0, 12)}`
}
