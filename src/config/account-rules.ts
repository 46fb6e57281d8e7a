import type { Finding, Path } from './problem.ts'
import { stateChangeSchema } from './state-change-schema.ts'
import { valueAt } from './schema-findings.ts'

/** The number of a user or group of the host that the config is for; undefined: it has none of that name. */
export type FindAccount = (database: 'passwd' | 'group', name: string) => Promise<number | undefined>

/** Accounts that the config names and the host does not have: an agent would not start with it. */
export async function missingAccounts(config: unknown, find: FindAccount): Promise<Finding[]> {
  const named = accountsIn(config)
  const numbers = await Promise.all(named.map(({ database, name }) => find(database, name)))
  return named
    .filter((_, index) => numbers[index] === undefined)
    .map(({ database, name, path }) => {
      const what = database === 'group' ? 'group' : 'user'
      return { path, on: 'value', message: `is "${name}", must be a ${what} that this host has` }
    })
}

interface Named {
  readonly database: 'passwd' | 'group'
  readonly name: string
  readonly path: Path
}

function accountsIn(config: unknown): Named[] {
  const entry = stateChangeSchema.safeParse(valueAt(config, ['stateChange'])).data
  if (entry === undefined) return []
  const { socketGroup, senders } = entry
  const one = (database: Named['database'], name: string | undefined, path: Path): Named[] =>
    name === undefined ? [] : [{ database, name, path: ['stateChange', ...path] }]
  return [
    ...one('group', socketGroup, ['socketGroup']),
    ...senders.flatMap(({ user, group }, index) => [
      ...one('passwd', user, ['senders', index, 'user']),
      ...one('group', group, ['senders', index, 'group']),
    ]),
  ]
}
