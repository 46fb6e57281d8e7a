import { join, resolve } from 'node:path'
import type { EventView } from '../agent/api.ts'
import { idsIn, pseudonymKeyName, Pseudonyms } from '../agent/pseudonym.ts'
import { jsonText } from '../base/controls.ts'
import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { readIds, readRouterIds, readStatePath } from '../config/read.ts'
import type { JsonObject } from '../journal/record.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { keyIn } from './key-file.ts'
import { recordsIn } from './records.ts'

/** `keepward audit --export`: all records as JSON lines, with pseudonyms for routers where the config wants that. */
export async function exportRecords(
  globals: Globals,
  options: Record<string, unknown>,
  file: string | undefined,
): Promise<number> {
  const names = await namesFor(globals, options, file)
  for await (const record of recordsIn(globals, file)) {
    if (!process.stdout.write(`${jsonText(names === undefined ? record : hidden(record, names))}\n`))
      await new Promise((drained) => process.stdout.once('drain', drained))
  }
  return ExitStatus.ok
}

/** Of the key that the options name, else of the one in the state directory. Throws `file-failed` or `key-invalid`. */
export async function pseudonymKey(globals: Globals, { keyFile }: Record<string, unknown>): Promise<Secret> {
  if (typeof keyFile === 'string') return keyIn(resolve(keyFile))
  return keyIn(join(await readStatePath(resolve(globals.config)), pseudonymKeyName))
}

/** Every id that a journal has in a field of its own. */
export async function idsOfRecords(globals: Globals, file: string | undefined): Promise<Set<string>> {
  const ids = new Set<string>()
  for await (const record of recordsIn(globals, file)) for (const id of idsIn(asJson(record))) ids.add(id)
  return ids
}

/** Undefined: routers are called what they are. An id may stand in a text long before it has a record of its own: all are read first. */
async function namesFor(
  globals: Globals,
  options: Record<string, unknown>,
  file: string | undefined,
): Promise<Pseudonyms | undefined> {
  const { routerIds = await readRouterIds(resolve(globals.config)) } = options
  if (routerIds === 'plain') return undefined
  if (routerIds !== 'pseudonym') throw new KeepwardError('request-invalid', '--router-ids must be plain or pseudonym')
  const names = new Pseudonyms()
  names.useKey(await pseudonymKey(globals, options))
  names.learn(await readIds(resolve(globals.config)).catch(() => []))
  names.learn(await idsOfRecords(globals, file))
  return names
}

/** Without its hashes, which are of the text with the ids: who guesses an id could prove by them that he is right. */
const hidden = (record: EventView, names: Pseudonyms): JsonObject =>
  names.hide(asJson({ ...record, hash: undefined, previous: undefined }))

/** A record is JSON but for what it leaves out. */
const asJson = (record: object): JsonObject => JSON.parse(JSON.stringify(record)) as JsonObject
