import { findUser } from '../linux/account.ts'
import { statusWords } from '../linux/process-status.ts'
import {
  adoptProcess,
  findByArgument,
  openProcess,
  processStat,
  sameProcess,
  type ProcessHandle,
  type ProcessIdentity,
} from '../linux/process.ts'
import type { SafeDir } from '../linux/safe-dir.ts'
import type { Service } from './service.ts'

/** A router's private directory, in which its services have their files. */
export type ServiceHome = Pick<SafeDir, 'pathOf' | 'readText' | 'write' | 'remove'>

/** What is on record of a service, for whoever comes after us. */
export interface ServiceRecord {
  /** Of one that is being started, what it will be. */
  readonly identity: ProcessIdentity | Expected
  /** Of the plan that it was started with. */
  readonly digest: string
  /** Whom it becomes, where it does not stay root. */
  readonly user?: string | undefined
  /** The command by which it was told its stance. */
  readonly told?: string
}

type Expected = Omit<ProcessIdentity, 'pid' | 'startTicks'>

export const recordName = ({ name }: Service): string => `${name}.json`

export function writeRecord(service: Service, home: ServiceHome, record: ServiceRecord): Promise<void> {
  return home.write(recordName(service), `${JSON.stringify({ version: 1, ...record })}\n`)
}

/** The process on record, if it lives. */
export async function adoptService(
  service: Service,
  home: ServiceHome,
): Promise<{ readonly process: ProcessHandle; readonly record: ServiceRecord } | undefined> {
  const record = readRecord(await home.readText(recordName(service)))
  if (record === undefined) return undefined
  const { identity } = record
  const process = 'pid' in identity ? adoptProcess(identity) : await search(identity, service.program, record.user)
  return process && { process, record }
}

/**
 * One that was started just before our end. Whoever likes can give himself its name and its words; not its namespace, but for hooks, and
 * they are neither root nor whom it becomes.
 */
async function search(
  expected: Expected,
  program: string,
  user: string | undefined,
): Promise<ProcessHandle | undefined> {
  const found = findByArgument(expected.argv.at(-1) ?? '', program)
  if (found.length === 0) return undefined
  const owners = ['0', String((user === undefined ? undefined : await findUser(user))?.uid ?? 0)]
  // Its helpers have its words too.
  for (const pid of found.filter((one) => !found.includes(processStat(one)?.parentPid ?? 0))) {
    const process = openProcess(pid)
    const identity = process?.identity()
    const [uids = []] = statusWords(pid, 'Uid')
    const isOurs = uids.length === 4 && uids.every((uid) => owners.includes(uid))
    if (isOurs && identity !== undefined && sameProcess(identity, { ...identity, ...expected })) return process
    process?.close()
  }
  return undefined
}

/** One that cannot be read is as good as lost. */
function readRecord(text: string | undefined): ServiceRecord | undefined {
  try {
    const record = JSON.parse(text ?? '') as ServiceRecord & { readonly version: number }
    return record.version === 1 && Array.isArray(record.identity.argv) ? record : undefined
  } catch {
    return undefined
  }
}
