import { readFileSync, writeFileSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { inNamespace } from './in-namespace.ts'

/**
 * A key of /proc/sys/net with slashes, since interface names may hold dots: `net/ipv6/conf/ha0/addr_gen_mode`. Only
 * per-namespace networking keys have this form.
 */
const keyForm = /^net\/(ipv4|ipv6|core|netfilter|mpls)(\/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,4}$/

/** The value in the namespace, trimmed; undefined when there is no such key. */
export function readSysctl(namespaceFd: number, key: string): string | undefined {
  const path = pathOf(key)
  try {
    return inNamespace(namespaceFd, () => readFileSync(path, 'utf8').trim())
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw failed('read', key, error)
  }
}

/** Throws `interface-missing` when there is no such key, which is so while its interface does not exist. */
export function writeSysctl(namespaceFd: number, key: string, value: string | number): void {
  const path = pathOf(key)
  try {
    inNamespace(namespaceFd, () => {
      writeFileSync(path, String(value))
    })
  } catch (error) {
    throw failed('set', key, error)
  }
}

function pathOf(key: string): string {
  if (keyForm.test(key)) return `/proc/sys/${key}`
  throw new KeepwardError('internal', `"${key}" is no networking key of sysctl`)
}

function failed(verb: string, key: string, cause: unknown): KeepwardError {
  if (cause instanceof KeepwardError) return cause
  const code = errnoOf(cause) === 'ENOENT' ? 'interface-missing' : 'namespace-failed'
  return new KeepwardError(code, `Cannot ${verb} sysctl ${key}`, { cause })
}
