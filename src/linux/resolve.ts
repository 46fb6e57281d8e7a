import type { LookupFunction } from 'node:net'
import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'

/** All addresses of a name. getaddrinfo(3) has no deadline and holds a thread that files need too: of one name never more than one at a time. */
export function resolveAll(name: string, options: LookupOptions = {}): Promise<readonly LookupAddress[]> {
  const found = resolving.get(name) ?? ask(name, options)
  resolving.set(name, found)
  return found
}

const resolving = new Map<string, Promise<LookupAddress[]>>()

function ask(name: string, options: LookupOptions): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(name, { ...options, all: true }, (error, found) => {
      resolving.delete(name)
      if (error === null) resolve(found)
      else reject(error)
    })
  })
}

/** As `lookup` of a socket's options. */
export const resolveAsNode: LookupFunction = (name, options, done) => {
  resolveAll(name, options).then(
    (all) => {
      const [first] = all
      if (options.all === true || first === undefined) done(null, [...all])
      else done(null, first.address, first.family)
    },
    (error: unknown) => {
      done(error instanceof Error ? error : new Error('no address'), [])
    },
  )
}
