import { run } from './run.ts'

/** The number of a user (`passwd`) or group by its name, from wherever this host keeps them (getent(1)); undefined when there is none. */
export async function accountNumber(database: 'passwd' | 'group', name: string): Promise<number | undefined> {
  const { stdout, exitCode } = await run(['getent', database, name], { exitCodes: [0, 2] })
  const number = Number(stdout.split(':')[2])
  return exitCode === 0 && Number.isInteger(number) ? number : undefined
}
