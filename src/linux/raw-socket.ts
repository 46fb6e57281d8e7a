import { readdirSync, readlinkSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { procCodeOf, readProc } from './proc.ts'

/** Whether the process holds a raw socket of that IP protocol, over IPv4 or IPv6; false when it ended. */
export function holdsRawSocket(pid: number, protocol: number): boolean {
  const inNamespace = ['raw', 'raw6'].flatMap((file) => {
    const text = readProc(`/proc/${pid}/net/${file}`)
    return text === undefined ? [] : rawSocketInodes(text, protocol)
  })
  // Others in the namespace may hold one too.
  return inNamespace.length > 0 && holdsOneOf(pid, new Set(inNamespace.map((inode) => `socket:[${inode}]`)))
}

/**
 * The inodes of the sockets of one protocol in the text of /proc/<pid>/net/raw or raw6, after whose local address stands
 * the protocol in the place of a port, in hexadecimal digits.
 */
export function rawSocketInodes(text: string, protocol: number): string[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/ +/)
    const [local = '', inode] = [words[1], words[9]]
    return inode !== undefined && Number.parseInt(local.split(':')[1] ?? '', 16) === protocol ? [inode] : []
  })
}

function holdsOneOf(pid: number, links: ReadonlySet<string>): boolean {
  try {
    // The newest first: what a daemon opens beside its sockets, it opens before them.
    return readdirSync(`/proc/${pid}/fd`)
      .reverse()
      .some((fd) => links.has(linkOf(`/proc/${pid}/fd/${fd}`)))
  } catch (cause) {
    if (isGone(cause)) return false
    throw new KeepwardError(procCodeOf(cause), `Cannot see the open files of process ${pid}`, { cause })
  }
}

/** Empty for one that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (isGone(error)) return ''
    throw error
  }
}

const isGone = (error: unknown): boolean => ['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')
