import { run } from './run.ts'

export interface User {
  readonly uid: number
  readonly gid: number
}

/** The number of a user (`passwd`) or group by its name, from wherever this host keeps them (getent(1)); undefined when there is none. */
export async function accountNumber(database: 'passwd' | 'group', name: string): Promise<number | undefined> {
  const { stdout, exitCode } = await run(['getent', database, name], { exitCodes: [0, 2] })
  const number = Number(stdout.split(':')[2])
  return exitCode === 0 && Number.isInteger(number) ? number : undefined
}

/** A user by name or number, with the group that is its own; a number that no account bears has the group of that number. Undefined: no such name. */
export async function findUser(user: string | number): Promise<User | undefined> {
  const { stdout, exitCode } = await run(['getent', 'passwd', String(user)], { exitCodes: [0, 2] })
  const [, , uid, gid] = stdout.split(':').map(Number)
  if (exitCode === 0 && Number.isInteger(uid) && Number.isInteger(gid)) return { uid: uid ?? 0, gid: gid ?? 0 }
  return typeof user === 'number' ? { uid: user, gid: user } : undefined
}
