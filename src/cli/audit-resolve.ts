import { resolve as absolute } from 'node:path'
import { pseudonymForm, pseudonymOf } from '../agent/pseudonym.ts'
import { countText } from '../base/count.ts'
import { describeError, KeepwardError } from '../base/error.ts'
import { readIds } from '../config/read.ts'
import { idsOfRecords, pseudonymKey } from './audit-export.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'

/** `keepward audit resolve`: which routers pseudonyms stand for, of all that the config and the journal name. */
export async function resolve(
  globals: Globals,
  options: Record<string, unknown>,
  ...pseudonyms: string[]
): Promise<number> {
  const wrong = pseudonyms.find((one) => !pseudonymForm.test(one))
  if (wrong !== undefined) {
    throw new KeepwardError('request-invalid', `"${wrong}" is no pseudonym, which is r- and 16 digits of 0-9 and a-v`)
  }
  const key = await pseudonymKey(globals, options)
  const file = typeof options['file'] === 'string' ? absolute(options['file']) : undefined
  const { ids, unread } = await knownIds(globals, file)
  const routers = new Map(ids.map((id) => [pseudonymOf(key, id), id]))
  const found = pseudonyms.map((pseudonym) => ({ pseudonym, router: routers.get(pseudonym) ?? null }))
  if (globals.json) process.stdout.write(`${JSON.stringify({ found, ids: ids.length, unread })}\n`)
  else {
    const nobody = `not known: the pseudonym, by this key, of none of ${countText(ids.length, 'id')} that config and journal name`
    for (const { pseudonym, router } of found) process.stdout.write(`${pseudonym}  ${router ?? nobody}\n`)
    for (const text of unread) process.stderr.write(`keepward: not looked through: ${text}\n`)
  }
  return found.some(({ router }) => router === null) ? ExitStatus.degraded : ExitStatus.ok
}

/** What cannot be read now is said; the other may be enough. */
async function knownIds(globals: Globals, file: string | undefined) {
  const unread: string[] = []
  const unless = (error: unknown) => {
    unread.push(describeError(error))
    return []
  }
  const config = await readIds(absolute(globals.config)).catch(unless)
  const journal = await idsOfRecords(globals, file).catch(unless)
  return { ids: [...new Set([...config, ...journal])], unread }
}
