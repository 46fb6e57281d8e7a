import { createHash } from 'node:crypto'
import { KeepwardError } from '../base/error.ts'
import { eachAttribute, type Message, text } from './netlink.ts'
import { type NetlinkSocket, openNetlink } from './netlink-socket.ts'
import { run } from './run.ts'

/**
 * Changes nf_tables of a namespace by nft(8), all of `ruleset` as one transaction: what it replaces is in force until the
 * new one is. Throws `command-missing`, `command-failed` or `command-timeout`; then nothing has changed.
 */
export async function applyRuleset(namespaceFd: number, ruleset: string): Promise<void> {
  await run(['nft', '-f', '-'], { namespaceFd, stdin: ruleset, timeoutMs: 5000, maxOutputBytes: 64 * 1024 })
}

/** A table, as nft(8) names it. */
export interface NftTable {
  readonly family: NftFamily
  readonly name: string
}

export const isSameTable = (a: NftTable, b: NftTable): boolean => a.family === b.family && a.name === b.name

/** linux/netfilter.h. */
const families = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const
export type NftFamily = keyof typeof families

export const nftFamilies = Object.keys(families) as NftFamily[]

/** What a namespace's nf_tables hold, asked by netlink: starting nft costs fifty times as much. */
export interface Nftables extends Disposable {
  /**
   * Stands for the table, its chains and their rules, as these very objects; undefined when there is none. What packets and
   * elements of sets change is no part of it.
   */
  fingerprint(table: NftTable): string | undefined
  tables(): NftTable[]
  /** The names of a table's chains; none when there is no such table. */
  chains(table: NftTable): string[]
  /** What is in a set of a table of family `inet`; none when there is no such set. */
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
    socket.apply([{ says: 'ask for the generation of nf_tables', type: NFT_MSG_GETGEN, payload: [anyFamily] }])
  } catch (cause) {
    socket.close()
    const hint = 'load or install the kernel module nf_tables: modprobe nf_tables'
    throw new KeepwardError('netlink-failed', 'The kernel has no nf_tables', { cause, hint })
  }
  return {
    fingerprint: (table) => readFingerprint(socket, table),
    tables: () => readTables(socket),
    chains: (table) => chainsOf(socket, table).map((chain) => nameIn(chain, NFTA_CHAIN_NAME)),
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

/** struct nfgenmsg: family, version, and in answers the low half of the generation. */
const headerOf = (family: number): Buffer => Buffer.of(family, 0, 0, 0)
const anyFamily = headerOf(0)
const inet = headerOf(families.inet)

const NFTA_TABLE_NAME = 1
const NFTA_TABLE_FLAGS = 2
const NFTA_TABLE_USE = 3
const NFTA_TABLE_HANDLE = 4
const NFTA_CHAIN_TABLE = 1
const NFTA_CHAIN_HANDLE = 2
const NFTA_CHAIN_NAME = 3
const NFTA_CHAIN_POLICY = 5
const NFTA_CHAIN_FLAGS = 10
const NFTA_RULE_CHAIN = 2
const NFTA_RULE_HANDLE = 3

const gone = { tolerate: ['ENOENT'] }

/** By handles, of which the kernel gives none twice: what somebody made in the place of something is another. */
function readFingerprint(socket: NetlinkSocket, { family, name }: NftTable): string | undefined {
  const payload = [headerOf(families[family]), text(NFTA_TABLE_NAME, name)]
  const [table] = socket.apply([{ says: `find table ${name}`, type: NFT_MSG_GETTABLE, payload, ...gone }])
  if (table === undefined) return undefined
  const hash = createHash('sha256')
  const add = (message: Message, ...attributes: readonly number[]) => {
    eachAttribute(message.bytes, message.from + anyFamily.length, message.to, (type, from, to) => {
      if (attributes.includes(type)) hash.update(`${String(type)} `).update(message.bytes.subarray(from, to))
    })
  }
  add(table, NFTA_TABLE_FLAGS, NFTA_TABLE_USE, NFTA_TABLE_HANDLE)
  for (const chain of chainsOf(socket, { family, name }))
    add(chain, NFTA_CHAIN_HANDLE, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_FLAGS)
  const rules = { says: `list the rules of ${name}`, type: NFT_MSG_GETRULE, payload, ...gone }
  for (const rule of socket.dump(rules)) add(rule, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE)
  return hash.digest('hex')
}

/** The kernel lists those of all tables of the family. */
function chainsOf(socket: NetlinkSocket, { family, name }: NftTable): Message[] {
  const payload = [headerOf(families[family])]
  return socket
    .dump({ says: `list the chains of ${name}`, type: NFT_MSG_GETCHAIN, payload })
    .filter((chain) => nameIn(chain, NFTA_CHAIN_TABLE) === name)
}

function readTables(socket: NetlinkSocket): NftTable[] {
  const messages = socket.dump({ says: 'list the tables', type: NFT_MSG_GETTABLE, payload: [anyFamily] })
  return messages.flatMap((message) => {
    const family = nftFamilies.find((one) => families[one] === message.bytes[message.from])
    return family === undefined ? [] : [{ family, name: nameIn(message, NFTA_TABLE_NAME) }]
  })
}

/** The text of an attribute, without the NUL at its end. */
function nameIn({ bytes, from, to }: Message, wanted: number): string {
  let name = ''
  eachAttribute(bytes, from + anyFamily.length, to, (type, start, end) => {
    if (type === wanted) name = bytes.toString('latin1', start, end - 1)
  })
  return name
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
  const payload = [inet, text(1, table), text(2, set)]
  const request = { says: `list set ${set}`, type: NFT_MSG_GETSETELEM, payload, tolerate: ['ENOENT'] }
  const elements: SetElement[] = []
  for (const answer of socket.dump(request)) {
    const { bytes } = answer
    inside(bytes, answer.from + anyFamily.length, answer.to, NFTA_SET_ELEM_LIST_ELEMENTS, (from, to) => {
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
