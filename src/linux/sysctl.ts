import { writeFileSync } from 'node:fs'
import { errnoOf, KeepwardError } from '../base/error.ts'
import { inNamespace } from './in-namespace.ts'
import { native } from './native.ts'

/**
 * A key of /proc/sys/net with slashes, since interface names may hold dots: `net/ipv6/conf/ha0/addr_gen_mode`. Only
 * per-namespace networking keys have this form.
 */
const keyForm = /^net\/(ipv4|ipv6|core|netfilter|mpls)(\/[A-Za-z0-9_][A-Za-z0-9_.-]*){1,4}$/

/** The value in the namespace, trimmed; undefined when there is no such key. */
export function readSysctl(namespaceFd: number, key: string): string | undefined {
  return readSysctls(namespaceFd, [key])[0]
}

/** The values in the order of the keys, at the price of one way into the namespace and back. */
export function readSysctls(namespaceFd: number, keys: readonly string[]): (string | undefined)[] {
  const paths = keys.map((key) => [key, pathOf(key)] as const)
  return inNamespace(namespaceFd, () => paths.map(([key, path]) => readNow(key, path)))
}

/** Throws `interface-missing` when there is no such key, which is so while its interface does not exist. */
export function writeSysctl(namespaceFd: number, key: string, value: string | number): void {
  writeSysctls(namespaceFd, [[key, value]])
}

/** In this order; one that fails leaves those before it set. Throws as {@link writeSysctl}. */
export function writeSysctls(
  namespaceFd: number,
  settings: readonly (readonly [key: string, value: string | number])[],
): void {
  const paths = settings.map(([key, value]) => [key, pathOf(key), String(value)] as const)
  inNamespace(namespaceFd, () => {
    for (const [key, path, value] of paths) writeNow(key, path, value)
  })
}

function readNow(key: string, path: string): string | undefined {
  try {
    return native().readProc(path)?.trim()
  } catch (error) {
    throw failed('read', key, error)
  }
}

function writeNow(key: string, path: string, value: string): void {
  try {
    writeFileSync(path, value)
  } catch (error) {
    throw failed('set', key, error)
  }
}

function pathOf(key: string): string {
  if (keyForm.test(key)) return `/proc/sys/${key}`
  throw new KeepwardError('internal', `"${key}" is no networking key of sysctl`)
}

function failed(verb: string, key: string, cause: unknown): KeepwardError {
  const code = errnoOf(cause) === 'ENOENT' ? 'interface-missing' : 'namespace-failed'
  return new KeepwardError(code, `Cannot ${verb} sysctl ${key}`, { cause })
}
