import { createNamespace, deleteNamespace, type Namespace, openNamespace } from '../../src/linux/netns.ts'
import { type NetlinkSocket, openNetlink } from '../../src/linux/netlink-socket.ts'

/** A namespace of this test run, open, with a socket in it. */
export interface Scratch {
  readonly namespace: Namespace
  readonly socket: NetlinkSocket
}

/** Namespaces with names of this process alone, and their removal. */
export function scratchNamespaces(): {
  make(): Promise<Scratch>
  removeAll(): Promise<void>
} {
  const made: Scratch[] = []
  return {
    async make() {
      const name = `kwt-${process.pid}-${++count}`
      await createNamespace(name)
      const namespace = openNamespace(name)
      const scratch = { namespace, socket: openNetlink(namespace.fd) }
      made.push(scratch)
      return scratch
    },
    async removeAll() {
      for (const { namespace, socket } of made.splice(0)) {
        socket.close()
        namespace.close()
        await deleteNamespace(namespace.name)
      }
    },
  }
}

let count = 0
