import { run } from './run.ts'

export interface User {
  readonly uid: number
  readonly gid: number
}

/** The number of a user (`passwd`) or group by its name, from wherever this host keeps them (getent(1)); undefined when there is none. */
export async function accountNumber(database: 'passwd' | 'group', name: string): Promise<number | undefined> {
  const [number] = await accountNumbers(database, name)
  return number
}

/** A user by name or number, with the group that is its own; a number that no account bears has the group of that number. Undefined: no such name. */
export async function findUser(user: string | number): Promise<User | undefined> {
  const [uid, gid] = await accountNumbers('passwd', String(user))
  if (uid !== undefined && gid !== undefined) return { uid, gid }
  return typeof user === 'number' ? { uid: user, gid: user } : undefined
}

/** Its own, and of a user that of its group. None: there is no such account. Throws as {@link run}, when nobody can say. */
async function accountNumbers(database: 'passwd' | 'group', name: string): Promise<(number | undefined)[]> {
  const { stdout, exitCode } = await run(['getent', database, name], { exitCodes: [0, 2] })
  if (exitCode !== 0) return []
  const fields = stdout.split(':').slice(2, 4)
  return fields.map((text) => (/^\d+$/.test(text) ? Number(text) : undefined))
}
