import { dirname, basename } from 'node:path'
import { KeepwardError } from '../base/error.ts'
import { configHash, installConfig, readConfig, testConfig } from '../keepalived/config-file.ts'
import type { KeepalivedFeatures } from '../keepalived/features.ts'
import type { KeepalivedHome } from '../keepalived/home.ts'
import { changeBetween } from '../keepalived/meaning.ts'
import { renderConfig } from '../keepalived/render.ts'
import { SafeDir } from '../linux/safe-dir.ts'
import type { ConfigChange } from '../router/evidence.ts'
import type { RouterSpec } from '../router/spec.ts'

/** What rendering needs beside the router itself. */
export interface RenderPlace {
  readonly features: KeepalivedFeatures
  readonly fifoPath: string
}

/** The keepalived config that a router wants. Throws when its password file is missing or open to others. */
export async function wantedConfig(spec: RouterSpec, { features, fifoPath }: RenderPlace): Promise<string> {
  const password = await readPassword(spec)
  return renderConfig(spec, features, { fifoPath, ...(password === undefined ? {} : { password }) })
}

export interface ConfigComparison {
  readonly wantedDigest: string
  readonly writtenDigest: string | undefined
  readonly change: ConfigChange
}

/** Compare what is wanted with the file that is there; without a home there is none. */
export async function compareConfig(
  spec: RouterSpec,
  home: KeepalivedHome | undefined,
  place: RenderPlace,
): Promise<ConfigComparison> {
  const wanted = await wantedConfig(spec, place)
  const written = home === undefined ? undefined : await readConfig(home)
  return {
    wantedDigest: configHash(wanted),
    writtenDigest: written === undefined ? undefined : configHash(written),
    change: written === undefined ? 'none' : changeBetween(written, wanted),
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

async function readPassword({ id, authentication }: RouterSpec): Promise<string | undefined> {
  if (authentication.kind === 'none') return undefined
  const path = authentication.passwordFile
  using directory = openDirectory(path)
  const text = await directory.readText(basename(path), { maxBytes: 64 })
  if (text !== undefined) return text.replace(/\n$/, '')
  throw new KeepwardError('file-failed', `The password file ${path} of router ${id} does not exist`)
}

function openDirectory(path: string): SafeDir & Disposable {
  const directory = SafeDir.open(dirname(path))
  return Object.assign(directory, {
    [Symbol.dispose]: () => {
      directory.close()
    },
  })
}
