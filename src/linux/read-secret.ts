import { closeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { describeSource, type LocalSource } from '../base/secret-source.ts'
import { Secret } from '../base/secret.ts'
import { openRootFile } from './root-file.ts'
import { run } from './run.ts'
import { SafeDir } from './safe-dir.ts'

const commandMs = 5000
const maxBytes = 4096

/**
 * Read a secret now. That of a file is its content as it is, that of another source a text that ends in one newline, as
 * files do. Throws `file-unsafe`, `directory-unsafe`, `file-failed` or `secret-unavailable`, without a word of the content.
 */
export async function readSecret(source: LocalSource): Promise<Secret> {
  switch (source.kind) {
    case 'file':
      return readFile(source.path, 'file')
    case 'credential':
      return Secret.line(readCredential(source).revealText())
    case 'command':
      return Secret.line(await askCommand(source))
    case 'environment':
      return Secret.line(readVariable(source))
  }
}

function readFile(path: string, kind: 'file' | 'credential'): Secret {
  using directory = SafeDir.open(dirname(path), { mode: 'any' })
  return directory.readSecret(basename(path), kind)
}

function readCredential(source: Of<'credential'>): Secret {
  const directory = process.env['CREDENTIALS_DIRECTORY']
  if (directory !== undefined && directory !== '') return readFile(`${directory}/${source.name}`, 'credential')
  throw unavailable(source, '$CREDENTIALS_DIRECTORY is not set', {
    hint: `run it as a unit with LoadCredential=${source.name}:FILE`,
  })
}

/** With a clean environment, of which nothing is secret. What it says, on either stream, is in no error. */
async function askCommand(source: Of<'command'>): Promise<string> {
  const [program = ''] = source.argv
  // Whoever can write the program, or put another one in its place, would run it with our rights.
  closeSync(openRootFile(program))
  try {
    const { stdout } = await run(source.argv, { timeoutMs: commandMs, maxOutputBytes: maxBytes })
    return stdout
  } catch (error) {
    const code = error instanceof KeepwardError ? error.code : 'command-failed'
    throw unavailable(source, `the command did not end well within ${commandMs} ms and ${maxBytes} bytes (${code})`, {
      hint: 'run it by hand, with env -i and the same arguments: what it said is not shown here, as it may be secret',
    })
  }
}

function readVariable(source: Of<'environment'>): string {
  const value = process.env[source.variable]
  if (value !== undefined) return value
  throw unavailable(source, 'it is not set', {
    hint: 'set it for the process that reads it, or better use a file or a credential',
  })
}

type Of<K extends LocalSource['kind']> = Extract<LocalSource, { kind: K }>

const unavailable = (source: LocalSource, why: string, options: { hint: string }): KeepwardError =>
  new KeepwardError('secret-unavailable', `There is no secret in ${describeSource(source)}: ${why}`, options)
