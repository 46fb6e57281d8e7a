import { readdirSync, readFileSync } from 'node:fs'
import { isKeepalived, processesOf } from '../src/lab/processes.ts'
import { childrenOf, commandLine } from '../src/linux/process.ts'

/** USER_HZ, the unit of processor time in /proc (proc_pid_stat(5)). */
const msPerTick = 10

/** Processor time in milliseconds, user and system. */
export interface CpuTime {
  readonly ownMs: number
  /** Of children that ended and were waited for, and theirs. */
  readonly childrenMs: number
}

export function cpuTime(pid: number): CpuTime {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; utime is the 12th field after it.
  const ticks = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number)
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = ticks
  return { ownMs: (user + system) * msPerTick, childrenMs: (childrenUser + childrenSystem) * msPerTick }
}

/** As the scheduler counted it, own threads only: of a process that ran for less than a tick, {@link cpuTime} says 0. */
export function exactCpuMs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6)
    .reduce((sum, ms) => sum + ms, 0)
}

/** Kilobytes of a process and of its children that are ours (proc_pid_smaps(5), smaps_rollup). */
export interface Memory {
  /** Private pages, and of shared ones the share. */
  readonly pssKb: number
  /** The part of it that no file backs: heaps and stacks. */
  readonly anonymousKb: number
}

export function memoryOf(pid: number): Memory {
  const helpers = childrenOf(pid).filter((child) => commandLine(child)?.[0] !== 'keepalived')
  return [pid, ...helpers].map(memoryOfOne).reduce((sum, one) => ({
    pssKb: sum.pssKb + one.pssKb,
    anonymousKb: sum.anonymousKb + one.anonymousKb,
  }))
}

function memoryOfOne(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? NaN)
  return { pssKb: field('Pss'), anonymousKb: field('Pss_Anon') }
}

/** The pids of keepalived that work with files under a directory. */
export function keepalivedUnder(directory: string): number[] {
  return processesOf(directory)
    .filter(isKeepalived)
    .map(({ pid }) => pid)
}
