import { resolve } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { makeKeyPair, signFile, verifyFile } from '../config/signing.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'

/** `keepward config keygen DIR`: an Ed25519 key pair; the private one stays where configs are made. */
export async function keygen(globals: Globals, _options: Record<string, unknown>, directory = ''): Promise<number> {
  const made = await makeKeyPair(resolve(directory))
  const text = `Made key ${made.key}: ${made.privateFile} signs; ${made.publicFile} is for the hosts, beside their config.`
  return say(globals, text, made)
}

/** `keepward config sign`: writes the signature beside the config file. */
export async function sign(globals: Globals, { key }: Record<string, unknown>): Promise<number> {
  const file = resolve(globals.config)
  const made = await signFile(file, pathIn(key, '--key'))
  return say(globals, `Signed ${file} with key ${made.key}: ${made.signatureFile}`, { file, ...made })
}

/** `keepward config verify`: whether the config file is signed as its hosts will ask; exit status 4 when not. */
export async function verify(globals: Globals, { publicKey }: Record<string, unknown>): Promise<number> {
  const file = resolve(globals.config)
  const found = await verifyFile(file, publicKey === undefined ? undefined : pathIn(publicKey, '--public-key'))
  return say(globals, `${file} is signed with key ${found.key} of ${found.keysFile}`, { ok: true, file, ...found })
}

function pathIn(word: unknown, option: string): string {
  if (typeof word === 'string') return resolve(word)
  throw new KeepwardError('request-invalid', `${option} is missing, must name a file`)
}

function say({ json }: Globals, text: string, value: unknown): number {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`)
  return ExitStatus.ok
}
