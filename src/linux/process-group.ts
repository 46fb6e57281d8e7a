import { readProc } from './proc.ts'

/**
 * The control group of a process, "" when it has ended, is in none or cannot be asked for. What a process that starts many others asks for each of
 * them, it asks within the same second: the answer is kept so long.
 */
export function controlGroupOf(pid: number): string {
  const nowMs = performance.now()
  const known = recent.get(pid)
  if (known !== undefined && nowMs - known.asOfMs < 1000) return known.group
  const group = unifiedGroup(textOf(pid)) ?? ''
  if (recent.size >= 1024) recent.clear()
  recent.set(pid, { group, asOfMs: nowMs })
  return group
}

/** It is told beside what a process does, and decides nothing: without it that is heard all the same. */
function textOf(pid: number): string {
  try {
    return readProc(`/proc/${pid}/cgroup`) ?? ''
  } catch {
    return ''
  }
}

const recent = new Map<number, { readonly group: string; readonly asOfMs: number }>()

/** The path in the cgroup v2 hierarchy in /proc/<pid>/cgroup (cgroups(7)). */
export function unifiedGroup(text: string): string | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith('0::'))
  return line?.slice('0::'.length)
}
