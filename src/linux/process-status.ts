import { readProc } from '../linux/proc.ts'

/** The words of some lines of proc_pid_status(5), without their labels; of each none when the process ended. */
export function statusWords(pid: number, ...labels: readonly string[]): (readonly string[])[] {
  const lines = readProc(`/proc/${pid}/status`)?.split('\n') ?? []
  return labels.map((label) => {
    const line = lines.find((candidate) => candidate.startsWith(`${label}:`)) ?? ''
    return line.slice(label.length + 1).match(/\S+/g) ?? []
  })
}

/** Real, effective, saved and file system user: a program that another user started with our rights is not ours. */
export function isRunByUs(pid: number): boolean {
  const [uids = []] = statusWords(pid, 'Uid')
  return uids.length === 4 && uids.every((uid) => uid === String(process.geteuid?.()))
}
