import type { Finding, Path } from './problem.ts'
import { draftRouters, type RouterDraft } from './router-draft.ts'
import { stateChangeSchema } from './state-change-schema.ts'
import { valueAt } from './schema-findings.ts'

/**
 * The number of a user or group of the host that the config is for; undefined: it has none of that name. `of`: who needs it, the agent or
 * a router.
 */
export type FindAccount = (
  database: 'passwd' | 'group',
  name: string,
  of: 'agent' | 'router',
) => Promise<number | undefined>

/** Accounts that the config names and the host does not have: an agent would not start with it, or a service or hook would not. */
export async function missingAccounts(config: unknown, find: FindAccount): Promise<Finding[]> {
  const named = [...accountsOfAgent(config), ...draftRouters(config).flatMap(accountsOfRouter)]
  const keyOf = ({ database, name, of }: Named) => `${of} ${database} ${name}`
  const asked = new Map(named.map((one) => [keyOf(one), one]))
  const answers = [...asked].map(
    async ([key, { database, name, of }]) => [key, await find(database, name, of)] as const,
  )
  const numbers = new Map(await Promise.all(answers))
  return named
    .filter((one) => numbers.get(keyOf(one)) === undefined)
    .map(({ database, name, path }) => {
      const what = database === 'group' ? 'group' : 'user'
      return { path, on: 'value', message: `is "${name}", must be a ${what} that this host has` }
    })
}

/** For a start: what a service or hook lacks is the trouble of its router, and none of the others. */
export const ofAgentAlone =
  (find: FindAccount): FindAccount =>
  async (database, name, of) =>
    of === 'router' ? 0 : find(database, name, of)

interface Named {
  readonly database: 'passwd' | 'group'
  readonly name: string
  readonly of: 'agent' | 'router'
  readonly path: Path
}

function accountsOfAgent(config: unknown): Named[] {
  const entry = stateChangeSchema.safeParse(valueAt(config, ['stateChange'])).data
  if (entry === undefined) return []
  const { socketGroup, senders } = entry
  const one = (database: Named['database'], name: string | undefined, path: Path): Named[] =>
    name === undefined ? [] : [{ database, name, of: 'agent', path: ['stateChange', ...path] }]
  return [
    ...one('group', socketGroup, ['socketGroup']),
    ...senders.flatMap(({ user, group }, index) => [
      ...one('passwd', user, ['senders', index, 'user']),
      ...one('group', group, ['senders', index, 'group']),
    ]),
  ]
}

function accountsOfRouter({ path, metadata, hooks }: RouterDraft): Named[] {
  const one = (database: Named['database'], name: string | number | undefined, ...place: Path): Named[] =>
    typeof name === 'string' ? [{ database, name, of: 'router', path: [...path, ...place] }] : []
  return [
    ...one('passwd', metadata?.user, 'metadata', 'user'),
    ...one('group', metadata?.group, 'metadata', 'group'),
    ...hooks.flatMap((hook, index) => one('passwd', hook?.user, 'hooks', index, 'user')),
  ]
}
