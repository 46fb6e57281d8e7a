import type { SafeDir } from '../linux/safe-dir.ts'

/**
 * One router's private directory: root's, 0700, kept over restarts of ours. Only this room names its files.
 */
export type KeepalivedHome = Pick<SafeDir, 'path' | 'pathOf' | 'sub' | 'read' | 'readText' | 'write' | 'remove'>

export const homeFiles = {
  config: 'keepalived.conf',
  candidate: 'candidate.conf',
  parentPid: 'keepalived.pid',
  childPid: 'vrrp.pid',
  /** Which process runs and which config it has read. */
  process: 'process.json',
  /** keepalived's TMPDIR, into which it dumps. */
  dumpDirectory: 'dump',
} as const

/** Name that keepalived gives its dump. */
export const dumpFile = 'keepalived.json'

/**
 * The arguments of this router's keepalived; the child bears the same. They name the config path, by which it is found
 * when all else is lost. -n: the process that we start is the parent, not a process between. -P: no checkers.
 */
export function commandOf(home: Pick<KeepalivedHome, 'pathOf'>): readonly string[] {
  const { config, parentPid, childPid } = homeFiles
  return [
    'keepalived',
    '-n',
    '-P',
    '-f',
    home.pathOf(config),
    '-p',
    home.pathOf(parentPid),
    '-r',
    home.pathOf(childPid),
  ]
}
