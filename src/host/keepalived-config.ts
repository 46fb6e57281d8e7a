import { KeepwardError } from '../base/error.ts'
import { describeSource, type SecretSource } from '../base/secret-source.ts'
import { Secret } from '../base/secret.ts'
import { configHash, installConfig, readConfig, testConfig } from '../keepalived/config-file.ts'
import type { KeepalivedFeatures } from '../keepalived/features.ts'
import type { KeepalivedHome } from '../keepalived/home.ts'
import { changeBetween } from '../keepalived/meaning.ts'
import { renderConfig } from '../keepalived/render.ts'
import type { ConfigChange } from '../router/evidence.ts'
import type { RouterSpec } from '../router/spec.ts'

/** What rendering needs beside the router itself. */
export interface RenderPlace {
  readonly features: KeepalivedFeatures
  readonly fifoPath: string
  readonly secrets: { read(source: SecretSource): Promise<Secret> }
}

/** The keepalived config that a router wants. Throws when a secret is missing, open to others or of another form. */
export async function wantedConfig(spec: RouterSpec, place: RenderPlace): Promise<string> {
  const { features, fifoPath, secrets } = place
  const password = await readPassword(spec, secrets)
  // First what keepalived cannot do at all, then whether its keys are there.
  const text = renderConfig(spec, features, { fifoPath, ...(password === undefined ? {} : { password }) })
  await checkKeys(spec, secrets)
  return text
}

export interface ConfigComparison {
  readonly wantedDigest: string
  readonly writtenDigest: string | undefined
  readonly change: ConfigChange
}

/** Stands for a config that cannot be had: no file is like it, so that writing it is tried, and says why. */
export const notToBeHad = 'not to be had'

/** Compare what is wanted with the file that is there; without a home there is none. */
export async function compareConfig(
  spec: RouterSpec,
  home: KeepalivedHome | undefined,
  place: RenderPlace,
): Promise<ConfigComparison> {
  const wanted = await orUndefined(wantedConfig(spec, place))
  const written = home === undefined ? undefined : await readConfig(home)
  return {
    wantedDigest: wanted === undefined ? notToBeHad : configHash(wanted),
    writtenDigest: written === undefined ? undefined : configHash(written),
    change: written === undefined || wanted === undefined ? 'none' : changeBetween(written, wanted),
  }
}

async function orUndefined(wanted: Promise<string>): Promise<string | undefined> {
  try {
    return await wanted
  } catch (error) {
    if (error instanceof KeepwardError) return undefined
    throw error
  }
}

/**
 * Let keepalived test the wanted config in the router's namespace, then put it in place. A refused one leaves the file
 * that is there alone: `keepalived-refused-config`, its text what keepalived said.
 */
export async function writeConfig(
  spec: RouterSpec,
  home: KeepalivedHome,
  namespaceFd: number,
  place: RenderPlace,
): Promise<void> {
  const text = await wantedConfig(spec, place)
  const test = await testConfig(home, namespaceFd, text)
  if (test.kind === 'refused') {
    throw new KeepwardError(
      'keepalived-refused-config',
      `keepalived refuses the config of router ${spec.id}: ${test.says}`,
    )
  }
  await installConfig(home, text)
}

type Secrets = RenderPlace['secrets']

async function readPassword({ id, authentication }: RouterSpec, secrets: Secrets): Promise<Secret | undefined> {
  if (authentication.kind !== 'pass') return undefined
  return withoutNewline(await secretOf(id, authentication.password, secrets))
}

const withoutNewline = (secret: Secret): Secret => new Secret(secret.revealText().replace(/\n$/, ''))

/** keepalived reads them itself, and would take any text for a key. */
async function checkKeys({ id, authentication }: RouterSpec, secrets: Secrets): Promise<void> {
  if (authentication.kind !== 'hmac') return
  for (const { file } of authentication.keys) {
    const key = await secretOf(id, { kind: 'file', path: file }, secrets)
    if (keyForm.test(key.revealText())) continue
    const message = `The key file ${file} of router ${id} holds something else than hex: and 64 to 128 hexadecimal digits`
    throw new KeepwardError('key-invalid', message, { hint: makeKey })
  }
}

/** 32 to 64 bytes. */
const keyForm = /^hex:(?:[0-9A-Fa-f]{2}){32,64}\n?$/
const makeKey = "make it once, for all hosts, as root: umask 077; printf 'hex:%s' $(openssl rand -hex 32) > FILE"

async function secretOf(router: string, source: SecretSource, secrets: Secrets): Promise<Secret> {
  try {
    return await secrets.read(source)
  } catch (cause) {
    const code = cause instanceof KeepwardError ? cause.code : 'file-failed'
    throw new KeepwardError(code, `Cannot read ${describeSource(source)} of router ${router}`, { cause })
  }
}
