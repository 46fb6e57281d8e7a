import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { missingAccounts, type FindAccount } from './account-rules.ts'
import type { AgentConfig } from './agent-config.ts'
import { configHash, loadConfig } from './load.ts'
import { valueAt } from './schema-findings.ts'
import { pathsSchema } from './schema.ts'
import { maxConfigBytes, readSource } from './source.ts'

/**
 * Read and load the config file at an absolute path. Throws `config-unreadable` when there is no such text to read, and
 * `config-invalid` with every problem when there is; with `find`, an account that the host does not have is one.
 */
export async function readConfig(
  path: string,
  hostname: string,
  find?: FindAccount,
): Promise<{ config: AgentConfig; hash: string }> {
  const text = await readText(path)
  const missing = find === undefined ? [] : await missingAccounts(readSource(text).value, find)
  return { config: loadConfig(text, path, hostname, missing), hash: configHash(text) }
}

/**
 * Where the config file puts the control socket's directory. Nothing else of the file is judged: with a config that has an error
 * the agent that runs must still be reachable. Throws `config-unreadable`.
 */
export const readRunPath = (path: string): Promise<string> => readPathSetting(path, 'run')

/** As {@link readRunPath}, of the directory with the state-change socket and its key. */
export const readStatePath = (path: string): Promise<string> => readPathSetting(path, 'state')

async function readPathSetting(path: string, name: 'run' | 'state'): Promise<string> {
  const { value } = readSource(await readText(path))
  const schema = pathsSchema.unwrap().shape[name]
  const found = schema.safeParse(valueAt(value, ['paths', name]))
  return found.success ? found.data : schema.parse(undefined)
}

async function readText(path: string): Promise<string> {
  if (!isAbsolute(path)) throw unreadable(path, 'is a relative path, must be an absolute one')
  let file: FileHandle | undefined
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for its writer for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return decode(path, await readBounded(path, file))
  } catch (error) {
    if (error instanceof KeepwardError) throw error
    throw unreadable(path, reasons[errnoOf(error) ?? ''] ?? 'cannot be read', error)
  } finally {
    await file?.close()
  }
}

/** One byte more than allowed is read, since a file can grow after its size was asked. */
async function readBounded(path: string, file: FileHandle): Promise<Buffer> {
  if (!(await file.stat()).isFile()) throw unreadable(path, 'is no regular file, must be one')
  const buffer = Buffer.alloc(maxConfigBytes + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
    if (bytesRead === 0) return buffer.subarray(0, length)
    length += bytesRead
    if (length > maxConfigBytes) throw unreadable(path, `is longer than ${maxConfigBytes} bytes, must be at most that`)
  }
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw unreadable(path, 'is not UTF-8 text, must be', error)
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read by this user',
  EISDIR: 'is a directory, must be a regular file',
  ELOOP: 'is a loop of symbolic links',
}

function unreadable(path: string, why: string, cause?: unknown): KeepwardError {
  return new KeepwardError('config-unreadable', `Cannot read the configuration: ${path} ${why}`, { cause })
}
