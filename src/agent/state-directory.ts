import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { SafeDir } from '../linux/safe-dir.ts'

export const journalName = 'journal.sqlite'

/**
 * The state directory, made when it is not there. Throws `directory-unsafe`: one that is not ours may be Neutron's, which would
 * break if its owner or mode were changed, so that the hint says how to keep the two apart.
 */
export function openStateDirectory(path: string, mode: number): SafeDir {
  try {
    return SafeDir.open(path, { create: true, mode })
  } catch (error) {
    if (!(error instanceof KeepwardError) || error.code !== 'directory-unsafe' || isOurs(path)) throw error
    const owner = agentOf(path)
    throw new KeepwardError(error.code, error.message, {
      cause: error.cause,
      hint:
        owner === undefined ? notOurs : `it is the state of the agent of uid ${String(owner)}: run this as that user`,
    })
  }
}

const notOurs =
  'leave it as it is, as another service may need it so: give Keepward a directory of its own as paths.state (it is made when it is not there), and start Neutron’s monitors with --state_path of that directory'

/** The user whose agent has worked in it. */
function agentOf(path: string): number | undefined {
  const uid = statSync(path, { throwIfNoEntry: false })?.uid
  return uid === process.geteuid?.() || !existsSync(join(path, journalName)) ? undefined : uid
}

/** We have worked in it, it still is ours, and nothing is wrong above it: only its mode can have been changed. */
function isOurs(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.uid !== process.geteuid?.()) return false
  return existsSync(join(path, journalName)) && isSafe(dirname(path))
}

function isSafe(path: string): boolean {
  try {
    SafeDir.open(path, { mode: 'any' }).close()
    return true
  } catch {
    return false
  }
}
