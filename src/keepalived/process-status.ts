import { readFileSync } from 'node:fs'

/** The words of one line of proc_pid_status(5), without its label; empty when the process ended. */
export function statusWords(pid: number, label: string): readonly string[] {
  const line = statusLines(pid).find((candidate) => candidate.startsWith(`${label}:`))
  return (
    line
      ?.slice(label.length + 1)
      .trim()
      .split(/\s+/) ?? []
  )
}

/** Real, effective, saved and file system user: a program that another user started with our rights is not ours. */
export function isRunByUs(pid: number): boolean {
  const uids = statusWords(pid, 'Uid')
  return uids.length === 4 && uids.every((uid) => uid === String(process.geteuid?.()))
}

function statusLines(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8').split('\n')
  } catch {
    return []
  }
}
