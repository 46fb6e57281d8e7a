import { createNamespace, createNamespaces, namespaceInode } from '../linux/netns.ts'

/**
 * Makes namespaces, those asked for in one turn of the event loop by one command: starting `ip` costs several times what a
 * namespace does. When the batch fails, each is tried by itself, so that one router's trouble is not another's.
 */
export function namespaceBatch(): (name: string) => Promise<unknown> {
  let waiting: { readonly name: string; readonly done: PromiseWithResolvers<undefined> }[] = []
  const make = async () => {
    const batch = waiting
    waiting = []
    const names = batch.map(({ name }) => name)
    const made = batch.length > 1 && (await createNamespaces(names).then(yes, no))
    for (const { name, done } of batch) {
      if (made || namespaceInode(name) !== undefined) done.resolve(undefined)
      else
        createNamespace(name).then(() => {
          done.resolve(undefined)
        }, done.reject)
    }
  }
  return (name) => {
    const done = Promise.withResolvers<undefined>()
    waiting.push({ name, done })
    if (waiting.length === 1) setImmediate(() => void make())
    return done.promise
  }
}

const yes = (): boolean => true
const no = (): boolean => false
