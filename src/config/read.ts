import { close, constants, fstatSync, read } from 'node:fs'
import { lstat, open, type FileHandle } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { promisify } from 'node:util'
import { codeOf, errnoOf, KeepwardError } from '../base/error.ts'
import { openRootFile } from '../linux/root-file.ts'
import { missingAccounts, type FindAccount } from './account-rules.ts'
import type { AgentConfig } from './agent-config.ts'
import { defaultAnchors } from './derived.ts'
import { configHash, loadConfig } from './load.ts'
import { valueAt } from './schema-findings.ts'
import { pathsSchema, type ConfigEntry } from './schema.ts'
import type { Path } from './problem.ts'
import { maxConfigBytes, readSource } from './source.ts'

type Paths = ConfigEntry['paths']

/** A config that was read and found good, and the SHA-256 of the file's bytes, in hexadecimal. */
export interface LoadedConfig {
  readonly config: AgentConfig
  readonly hash: string
}

/**
 * Read and load the config file at an absolute path for a person, whoever owns it. Throws `config-unreadable` when there is
 * no such text to read, and `config-invalid` with every problem when there is; with `find`, an account that the host does not
 * have is one.
 */
export async function readConfig(path: string, hostname: string, find?: FindAccount): Promise<LoadedConfig> {
  const bytes = await readPlain(path, maxConfigBytes)
  return { config: await loadForHost(decode(path, bytes), path, hostname, find), hash: configHash(bytes) }
}

/** {@link loadConfig}; with `find`, an account that the host does not have is one more problem. */
export async function loadForHost(
  text: string,
  path: string,
  hostname: string,
  find: FindAccount | undefined,
): Promise<AgentConfig> {
  const missing = find === undefined ? [] : await missingAccounts(readSource(text).value, find)
  return loadConfig(text, path, hostname, missing)
}

/**
 * Where the config file puts the control socket's directory. Nothing else of the file is judged: with a config that has an error
 * the agent that runs must still be reachable. Throws `config-unreadable`.
 */
export const readRunPath = (path: string): Promise<string> => readPathSetting(path, 'run')

/** As {@link readRunPath}, of the directory with the state-change socket and its key. */
export const readStatePath = (path: string): Promise<string> => readPathSetting(path, 'state')

/** As {@link readRunPath}, of the directory with the anchors. */
export async function readAnchorsPath(path: string): Promise<string> {
  return (await readPathSetting(path, 'anchors')) ?? defaultAnchors(await readStatePath(path))
}

/** As {@link readRunPath}, of how routers are named in logs and exports: a word that is wrong does not open anything. */
export async function readRouterIds(path: string): Promise<'plain' | 'pseudonym'> {
  const given = valueAt(await readValue(path), ['logging', 'routerIds'])
  return given === undefined || given === 'plain' ? 'plain' : 'pseudonym'
}

/** As {@link readRunPath}, of the ids of routers and of senders' keys. */
export async function readIds(path: string): Promise<string[]> {
  const value = await readValue(path)
  const routers = listAt(value, ['routers']).map((router) => valueAt(router, ['id']))
  const keys = listAt(value, ['stateChange', 'senders']).map((sender) => valueAt(sender, ['key', 'id']))
  return [...routers, ...keys].filter((id) => typeof id === 'string')
}

function listAt(value: unknown, path: Path): readonly unknown[] {
  const found = valueAt(value, path)
  return Array.isArray(found) ? found : []
}

async function readPathSetting<N extends keyof Paths>(path: string, name: N): Promise<Paths[N]> {
  const given = pathsSchema.safeParse({ [name]: valueAt(await readValue(path), ['paths', name]) })
  return (given.success ? given.data : pathsSchema.parse({}))[name]
}

async function readValue(path: string): Promise<unknown> {
  return readSource(decode(path, await readPlain(resolve(path), maxConfigBytes))).value
}

/** A file that root alone can have written. Throws `config-unsafe` or `config-unreadable`, with ENOENT as its cause when it is absent. */
export function readTrusted(path: string, maxBytes: number): Promise<Buffer> {
  return readAs(path, async () => {
    // Asked in another thread first: a disk that does not answer must not hold up this one.
    await lstat(path)
    const fd = openRootFile(path)
    try {
      return await readBounded(path, fd, maxBytes)
    } finally {
      await promisify(close)(fd)
    }
  })
}

/** Anybody's file. Throws `config-unreadable`. */
export function readPlain(path: string, maxBytes: number): Promise<Buffer> {
  return readAs(path, async () => {
    let file: FileHandle | undefined
    try {
      // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
      file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
      return await readBounded(path, file.fd, maxBytes)
    } finally {
      await file?.close()
    }
  })
}

async function readAs(path: string, body: () => Promise<Buffer>): Promise<Buffer> {
  if (!isAbsolute(path)) throw unreadable(path, 'is a relative path, must be an absolute one')
  try {
    return await body()
  } catch (error) {
    if (!(error instanceof KeepwardError)) throw unreadable(path, wordsFor(error), error)
    if (error.code === 'file-failed' || error.code === 'resources-exhausted')
      throw unreadable(path, wordsFor(error.cause), error.cause)
    if (error.code !== 'file-unsafe' && error.code !== 'directory-unsafe') throw error
    const hint = error.code === 'file-unsafe' ? fileHint : error.hint
    const why = `The configuration is not root’s alone: ${error.message}`
    throw new KeepwardError('config-unsafe', why, { hint })
  }
}

const fileHint = 'it must be a file with one name that belongs to root and is writable by no one else'

/** One byte more than the file holds is asked for, since it can grow after its size was asked. */
async function readBounded(path: string, fd: number, maxBytes: number): Promise<Buffer> {
  const stats = fstatSync(fd)
  if (!stats.isFile()) throw unreadable(path, 'is no regular file, must be one')
  if (stats.size > maxBytes) {
    throw unreadable(path, `is longer than ${maxBytes} bytes, must be at most that`)
  }
  const buffer = Buffer.alloc(stats.size + 1)
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await readSome(fd, buffer, length, buffer.length - length, length)
    if (bytesRead === 0) return buffer.subarray(0, length)
    length += bytesRead
  }
  throw unreadable(path, 'grew while it was read')
}

const readSome = promisify(read)

/** Throws `config-unreadable`. */
export function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw unreadable(path, 'is not UTF-8 text, must be', error)
  }
}

/** Absent is an answer. */
export async function unlessAbsent(reading: Promise<Buffer>): Promise<Buffer | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof KeepwardError && errnoOf(error.cause) === 'ENOENT') return undefined
    throw error
  }
}

const wordsFor = (error: unknown): string => reasons[errnoOf(error) ?? ''] ?? 'cannot be read'

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a directory, must be a regular file',
  ELOOP: 'is a loop of symbolic links',
}

function unreadable(path: string, why: string, cause?: unknown): KeepwardError {
  return new KeepwardError(codeOf(cause, 'config-unreadable'), `Cannot read the configuration: ${path} ${why}`, {
    cause,
  })
}
