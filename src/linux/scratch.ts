import { createNamespace, deleteNamespace, listNamespaces } from './netns.ts'
import { openProcess } from './process.ts'

/**
 * Make a namespace to try things in; its name begins with `prefix`, and the caller removes it. Those of that prefix whose process was
 * killed before it could go first. Throws `command-failed`.
 */
export async function createScratch(prefix: string): Promise<string> {
  for (const name of listNamespaces()) if (name.startsWith(prefix)) await removeLeftover(prefix, name)
  const name = `${prefix}${String(process.pid)}-${String(++made)}`
  await createNamespace(name)
  return name
}

let made = 0

async function removeLeftover(prefix: string, name: string): Promise<void> {
  const pid = Number(name.slice(prefix.length).split('-')[0])
  using owner = Number.isSafeInteger(pid) && pid > 0 ? openProcess(pid) : undefined
  if (owner === undefined) await deleteNamespace(name)
}
