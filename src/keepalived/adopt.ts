import { commandLine, findByArgument, processStat } from '../linux/process.ts'
import { adoptProcess, openProcess, type ProcessHandle, type ProcessIdentity } from '../linux/process.ts'
import { commandOf, homeFiles, type KeepalivedHome } from './home.ts'
import { isRunByUs } from '../linux/process-status.ts'

/** A keepalived that was started before us. */
export interface Found {
  readonly process: ProcessHandle
  /** Hash of the config that it was last told to read; undefined when the record is lost. */
  readonly loaded: string | undefined
}

/** The pids of running keepalived processes by their joined arguments: one look at /proc for all routers. */
export type ProcessScan = ReadonlyMap<string, readonly number[]>

export function scanKeepalived(): ProcessScan {
  return Map.groupBy(findByArgument('keepalived', 'keepalived'), (pid) => (commandLine(pid) ?? []).join('\0'))
}

/**
 * The parent process of this router's keepalived in the namespace of that inode: by its record, verified through a
 * pidfd, or when that is lost by its arguments. Without an inode, in whichever namespace it lives, whose name may be
 * gone. Finds nobody else's: no process of another user.
 */
export async function findKeepalived(
  home: KeepalivedHome,
  namespaceInode: number | undefined,
  scan: () => ProcessScan = scanKeepalived,
): Promise<Found | undefined> {
  const record = await readRecord(home)
  const adopted = record === undefined ? undefined : adoptProcess(record.identity)
  if (adopted !== undefined && isOurs(home, adopted, namespaceInode)) {
    return { process: adopted, loaded: record?.loaded }
  }
  adopted?.close()
  const process = await search(home, namespaceInode, scan())
  if (process === undefined) return undefined
  await recordProcess(home, process, undefined)
  return { process, loaded: undefined }
}

/** Writes down which process runs, and which config it was told to read. */
export async function recordProcess(
  home: KeepalivedHome,
  process: ProcessHandle,
  loaded: string | undefined,
): Promise<void> {
  const identity = process.identity()
  // It ended at once; its handle tells.
  if (identity === undefined) return
  await home.write(homeFiles.process, `${JSON.stringify({ version: 1, identity, loaded }, undefined, 2)}\n`)
}

interface ProcessRecord {
  readonly identity: ProcessIdentity
  readonly loaded: string | undefined
}

/** A record that cannot be read is as good as lost. */
async function readRecord(home: KeepalivedHome): Promise<ProcessRecord | undefined> {
  const text = await home.readText(homeFiles.process, { maxBytes: 16 * 1024 })
  if (text === undefined) return undefined
  try {
    return parseRecord(JSON.parse(text))
  } catch {
    return undefined
  }
}

function parseRecord(value: unknown): ProcessRecord | undefined {
  if (!isObject(value) || value['version'] !== 1 || !isObject(value['identity'])) return undefined
  const { bootId, pid, startTicks, argv, networkNamespace } = value['identity']
  const loaded = value['loaded']
  if (typeof bootId !== 'string' || !isCount(pid) || !isCount(startTicks) || !isCount(networkNamespace))
    return undefined
  if (!Array.isArray(argv) || !argv.every((word) => typeof word === 'string')) return undefined
  return {
    identity: { bootId, pid, startTicks, argv, networkNamespace },
    loaded: typeof loaded === 'string' ? loaded : undefined,
  }
}

/** Parent and child bear the same arguments. An orphaned child is no parent: nothing would start it again. */
async function search(
  home: KeepalivedHome,
  namespaceInode: number | undefined,
  scan: ProcessScan,
): Promise<ProcessHandle | undefined> {
  const pids = scan.get(commandOf(home).join('\0')) ?? []
  if (pids.length === 0) return undefined
  const noted = Number(await home.readText(homeFiles.parentPid, { maxBytes: 32 }))
  const isParent = (pid: number) => pid === noted || pids.some((other) => processStat(other)?.parentPid === pid)
  for (const pid of pids.filter(isParent)) {
    const process = openProcess(pid)
    if (process !== undefined && isOurs(home, process, namespaceInode)) return process
    process?.close()
  }
  return undefined
}

function isOurs(home: KeepalivedHome, process: ProcessHandle, namespaceInode: number | undefined): boolean {
  const identity = process.identity()
  return (
    identity !== undefined &&
    (namespaceInode === undefined || identity.networkNamespace === namespaceInode) &&
    identity.argv.join('\0') === commandOf(home).join('\0') &&
    isRunByUs(process.pid) &&
    process.alive()
  )
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0
