import { createHash } from 'node:crypto'
import { KeepwardError } from '../base/error.ts'
import { eachAttribute, text } from './netlink.ts'
import { type NetlinkSocket, openNetlink } from './netlink-socket.ts'
import { run } from './run.ts'

/**
 * Changes nf_tables of a namespace by nft(8), all of `ruleset` as one transaction: what it replaces is in force until the
 * new one is. Throws `command-missing`, `command-failed` or `command-timeout`; then nothing has changed.
 */
export async function applyRuleset(namespaceFd: number, ruleset: string): Promise<void> {
  await run(['nft', '-f', '-'], { namespaceFd, stdin: ruleset, timeoutMs: 5000, maxOutputBytes: 64 * 1024 })
}

/** What a namespace's nf_tables hold, asked by netlink: starting nft costs fifty times as much. Family `inet` only. */
export interface Nftables extends Disposable {
  /** Stands for the table, one chain of it and that chain's rules, as these very objects; undefined when there is none. */
  fingerprint(table: string, chain: string): string | undefined
  /** What is in a set; none when there is no such set. */
  elements(table: string, set: string): SetElement[]
}

/** An element of a set that packets fill. */
export interface SetElement {
  /** Fields as the packet has them, each padded to 4 bytes. */
  readonly key: Buffer
  readonly packets: number
  readonly expiresInMs: number
}

/** Throws `netlink-failed` where the kernel has no nf_tables. */
export function openNftables(namespaceFd: number): Nftables {
  const socket = openNetlink(namespaceFd, NETLINK_NETFILTER)
  try {
    socket.apply([{ says: 'ask for the generation of nf_tables', type: NFT_MSG_GETGEN, payload: [header] }])
  } catch (cause) {
    socket.close()
    const hint = 'load or install the kernel module nf_tables: modprobe nf_tables'
    throw new KeepwardError('netlink-failed', 'The kernel has no nf_tables', { cause, hint })
  }
  return {
    fingerprint: (table, chain) => readFingerprint(socket, table, chain),
    elements: (table, set) => readElements(socket, table, set),
    [Symbol.dispose]: () => {
      socket.close()
    },
  }
}

/** netlink(7); linux/netfilter/nfnetlink.h and nf_tables.h have the numbers below. */
const NETLINK_NETFILTER = 12
const nfTables = (message: number): number => (10 << 8) | message
const NFT_MSG_GETTABLE = nfTables(1)
const NFT_MSG_GETCHAIN = nfTables(4)
const NFT_MSG_GETRULE = nfTables(7)
const NFT_MSG_GETSETELEM = nfTables(13)
const NFT_MSG_GETGEN = nfTables(16)

/** struct nfgenmsg: family (NFPROTO_INET), version, and in answers the low half of the generation. */
const header = Buffer.of(1, 0, 0, 0)

/** Handles are part of it, so that a table which somebody made in its place is another. */
function readFingerprint(socket: NetlinkSocket, table: string, chain: string): string | undefined {
  const [inTable, ofChain] = [text(1, table), text(3, chain)]
  const gone = { tolerate: ['ENOENT'] }
  const [first, ...rest] = [
    ...socket.apply([
      { says: `find table ${table}`, type: NFT_MSG_GETTABLE, payload: [header, inTable], ...gone },
      { says: `find chain ${chain}`, type: NFT_MSG_GETCHAIN, payload: [header, inTable, ofChain], ...gone },
    ]),
    ...socket.dump({ says: `list the rules of ${table}`, type: NFT_MSG_GETRULE, payload: [header, inTable], ...gone }),
  ]
  if (first === undefined) return undefined
  const hash = createHash('sha256')
  for (const { type, bytes, from, to } of [first, ...rest]) {
    hash.update(`${String(type)} ${String(to - from)} `).update(bytes.subarray(from + header.length, to))
  }
  return hash.digest('hex')
}

const NFTA_SET_ELEM_LIST_ELEMENTS = 3
const NFTA_LIST_ELEM = 1
const NFTA_SET_ELEM_KEY = 1
const NFTA_SET_ELEM_EXPIRATION = 5
const NFTA_SET_ELEM_EXPR = 7
const NFTA_DATA_VALUE = 1
const NFTA_EXPR_DATA = 2
const NFTA_COUNTER_PACKETS = 2

function readElements(socket: NetlinkSocket, table: string, set: string): SetElement[] {
  const payload = [header, text(1, table), text(2, set)]
  const request = { says: `list set ${set}`, type: NFT_MSG_GETSETELEM, payload, tolerate: ['ENOENT'] }
  const elements: SetElement[] = []
  for (const answer of socket.dump(request)) {
    const { bytes } = answer
    inside(bytes, answer.from + header.length, answer.to, NFTA_SET_ELEM_LIST_ELEMENTS, (from, to) => {
      inside(bytes, from, to, NFTA_LIST_ELEM, (start, stop) => {
        elements.push(readElement(bytes, start, stop))
      })
    })
  }
  return elements
}

function readElement(bytes: Buffer, from: number, to: number): SetElement {
  let key = Buffer.alloc(0)
  let packets = 0
  let expiresInMs = 0
  eachAttribute(bytes, from, to, (type, at, end) => {
    if (type === NFTA_SET_ELEM_EXPIRATION) expiresInMs = Number(bytes.readBigUInt64BE(at))
    if (type === NFTA_SET_ELEM_KEY) {
      inside(bytes, at, end, NFTA_DATA_VALUE, (start, stop) => {
        // The message's buffer is shared; the key outlives it.
        key = Buffer.from(bytes.subarray(start, stop))
      })
    }
    if (type === NFTA_SET_ELEM_EXPR) {
      inside(bytes, at, end, NFTA_EXPR_DATA, (start, stop) => {
        inside(bytes, start, stop, NFTA_COUNTER_PACKETS, (number) => {
          packets = Number(bytes.readBigUInt64BE(number))
        })
      })
    }
  })
  return { key, packets, expiresInMs }
}

function inside(bytes: Buffer, from: number, to: number, wanted: number, found: (from: number, to: number) => void) {
  eachAttribute(bytes, from, to, (type, at, end) => {
    if (type === wanted) found(at, end)
  })
}
