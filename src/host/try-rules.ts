import { KeepwardError } from '../base/error.ts'
import { addBridge } from '../linux/link.ts'
import { openNetlink } from '../linux/netlink-socket.ts'
import { deleteNamespace, openNamespace, type Namespace } from '../linux/netns.ts'
import {
  applyRuleset,
  isSameTable,
  nftFamilies,
  openNftables,
  type Nftables,
  type NftTable,
} from '../linux/nftables.ts'
import { CommandError } from '../linux/run.ts'
import { createScratch } from '../linux/scratch.ts'

/** Names of tables that begin so are ours. */
const ours = 'keepward_'

/** What the namespace that the rules are for has. */
export interface Surroundings {
  /** Names of its interfaces. */
  readonly interfaces: readonly string[]
  /** Tables that somebody else has made. */
  readonly strangers: readonly NftTable[]
}

/**
 * Try an operator's rules in a namespace made for it, where tables of ours stand, and others of the names that are there, and tell by what the
 * kernel has afterwards which tables they make. Throws `packet-filter-refused`, its text the reason alone, or why they cannot be tried.
 */
export async function tryRules(text: string, { interfaces, strangers }: Surroundings): Promise<readonly NftTable[]> {
  refuseWords(text)
  const name = await createScratch('keepward-try-')
  try {
    using namespace = openNamespace(name)
    makeInterfaces(namespace, interfaces)
    using nftables = openNftables(namespace.fd)
    const standing = [...ourTables, ...strangers.filter((one) => tableNameForm.test(one.name))]
    await applyRuleset(namespace.fd, standing.map(standIn).join(''))
    const before = standing.map((one) => nftables.fingerprint(one))
    await applyRuleset(namespace.fd, text).catch(refused)
    refuseTouch(
      standing.filter((one, at) => nftables.fingerprint(one) !== before[at]),
      nftables,
    )
    return madeIn(nftables, standing)
  } finally {
    await deleteNamespace(name)
  }
}

const refuse = (why: string): never => {
  throw new KeepwardError('packet-filter-refused', why)
}

/** What the kernel cannot show: texts from elsewhere, whose owner nobody has checked, and objects that are others in another namespace. */
function refuseWords(text: string): void {
  // As nft(8) reads it: neither words in quotes nor in comments count.
  const words = text.replace(/"[^"]*"|#[^\n]*/g, ' ')
  if (/\binclude\b/.test(words)) refuse('it includes other files; it must hold all rules itself')
  if (/\bhandle\b/.test(words)) refuse('it names objects by handle, which are others in each namespace')
  if (words.includes(ours)) refuse(`it names tables that begin with ${ours}, which are not the operator's`)
}

function makeInterfaces({ fd }: Namespace, names: readonly string[]): void {
  using socket = openNetlink(fd)
  socket.apply(names.filter((name) => name !== 'lo').map((name) => addBridge({ name })))
}

/** One of each family: a flush may be of one. */
const ourTables: readonly NftTable[] = nftFamilies.map((family) => ({ family, name: `${ours}try` }))
const standIn = ({ family, name }: NftTable): string => `table ${family} ${name} { chain one { accept; }; }\n`

function refuseTouch(touched: readonly NftTable[], nftables: Nftables): void {
  if (touched.length === 0) return
  const isOurs = ({ name }: NftTable) => name.startsWith(ours)
  if (touched.some((one) => isOurs(one) && nftables.fingerprint(one) === undefined))
    refuse('it flushes the ruleset, with what Keepward and others have made; its own tables are replaced without that')
  if (touched.some(isOurs)) refuse('it touches tables of Keepward')
  const names = touched.map(({ family, name }) => `table ${family} ${name}`).join(', ')
  refuse(`it touches ${names}, which is there already and not of this file: remove it, or give it another name`)
}

function madeIn(nftables: Nftables, standing: readonly NftTable[]): readonly NftTable[] {
  const made = nftables.tables().filter((one) => !standing.some((other) => isSameTable(one, other)))
  if (made.length === 0) refuse('it makes no table that stays')
  for (const { name } of made)
    if (!tableNameForm.test(name)) refuse(`the name of its table ${JSON.stringify(name)} is too long`)
  return made
}

/** Fits, with its family before it, where we note it. */
const tableNameForm = /^[A-Za-z0-9_./\\-]{1,200}$/

function refused(error: unknown): never {
  const cause = error instanceof KeepwardError ? error.cause : undefined
  // What nft says of a text that it does not take; else it could not be asked.
  if (
    cause instanceof CommandError &&
    cause.exitCode === 1 &&
    error instanceof KeepwardError &&
    error.code === 'command-failed'
  )
    return refuse(`nft does not take it: ${cause.stderr.trim().slice(0, 2000)}`)
  throw error
}
