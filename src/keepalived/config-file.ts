import { createHash } from 'node:crypto'
import { KeepwardError } from '../base/error.ts'
import { CommandError, run } from '../linux/run.ts'
import { homeFiles, type KeepalivedHome } from './home.ts'

export type ConfigTest =
  | { readonly kind: 'ok' }
  /** `says`: keepalived's complaints, one a line, without path, time or password; at most 2000 characters. */
  | { readonly kind: 'refused'; readonly says: string }

/**
 * Lets keepalived judge a config where it will run, since it looks at the links there: a running keepalived that
 * reloads a config with an interface that is missing ends and leaves its addresses behind. Throws `keepalived-failed`
 * or `keepalived-missing` when there is no judgement.
 */
export async function testConfig(home: KeepalivedHome, namespaceFd: number, text: string): Promise<ConfigTest> {
  const path = home.pathOf(homeFiles.candidate)
  await home.write(homeFiles.candidate, text)
  try {
    await run(['keepalived', '-t', '-P', '-f', path], { namespaceFd, timeoutMs: 5000, maxOutputBytes: 64 * 1024 })
    return { kind: 'ok' }
  } catch (error) {
    return { kind: 'refused', says: complaints(error, text) }
  } finally {
    await home.remove(homeFiles.candidate)
  }
}

/** Replaces the config file as one step, 0600. The running keepalived reads it when told to. */
export async function installConfig(home: KeepalivedHome, text: string): Promise<void> {
  await home.write(homeFiles.config, text)
}

export const readConfig = (home: KeepalivedHome): Promise<string | undefined> => home.readText(homeFiles.config)

/** Equal hashes, equal text, hence equal meaning. */
export const configHash = (text: string): string => createHash('sha256').update(text).digest('hex')

function complaints(error: unknown, config: string): string {
  if (!(error instanceof KeepwardError)) throw error
  if (error.code === 'command-missing') {
    throw new KeepwardError('keepalived-missing', 'keepalived is not installed', { cause: error })
  }
  const cause = error.cause
  if (error.code !== 'command-failed' || !(cause instanceof CommandError) || cause.exitCode === undefined) {
    throw new KeepwardError('keepalived-failed', 'Cannot let keepalived test a config', { cause: error })
  }
  return readable(cause.stderr, config) || `exit code ${cause.exitCode} of keepalived -t, without a word`
}

/** `(/path/candidate.conf: Line 7) text` and `(Line 7) text` become `line 7: text`. */
function readable(stderr: string, config: string): string {
  const password = /auth_pass "([^"]+)"/.exec(config)?.[1]
  const lines = stderr.split('\n').map((line) => {
    const [, number, rest = ''] = /^\((?:[^()]*: )?Line (\d+)\) ?(.*)$/.exec(line) ?? []
    return number === undefined ? line : `line ${number}: ${rest}`
  })
  const text = lines.filter((line) => line.trim() !== '').join('\n')
  return (password === undefined ? text : text.replaceAll(password, '********')).slice(0, 2000)
}
