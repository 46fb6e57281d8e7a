import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeKeyPair, signFile, verifyFile } from '../../src/config/signing.ts'
import { readTrustedConfig } from '../../src/config/trusted.ts'

let home: string
let file: string
let anchor: string

beforeEach(() => {
  home = mkdtempSync('/tmp/kwt-sig-')
  mkdirSync(`${home}/etc`, { mode: 0o755 })
  file = `${home}/etc/agent.yaml`
  anchor = `${home}/etc/config-signing.pub`
  write()
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

interface Keys {
  readonly id: string
  readonly privateFile: string
  readonly publicFile: string
}

/** As docs/cli.md says it is done without us. */
function opensslKeys(name: string): Keys {
  const keys = { privateFile: `${home}/${name}.key`, publicFile: `${home}/${name}.pub` }
  const openssl = (...words: readonly string[]) => execFileSync('openssl', words, { stdio: 'pipe', timeout: 10_000 })
  openssl('genpkey', '-algorithm', 'ed25519', '-out', keys.privateFile)
  chmodSync(keys.privateFile, 0o600)
  openssl('pkey', '-in', keys.privateFile, '-pubout', '-out', keys.publicFile)
  const der = openssl('pkey', '-in', keys.privateFile, '-pubout', '-outform', 'DER').subarray(-32)
  return { ...keys, id: execFileSync('sha256sum', { input: der, encoding: 'utf8' }).slice(0, 16) }
}

function write(config = ''): void {
  writeFileSync(file, `version: 1\n${config === '' ? '' : `config: { ${config} }\n`}routers: []\n`, { mode: 0o644 })
}

const asking = (publicFile: string): string => `requireSignature: { publicKeyFile: ${publicFile} }`
const load = async (inForce: readonly string[] = []) => (await readTrustedConfig(file, 'host-a')).load(inForce)
const refused = (code: string, message: string) => ({ code, message: expect.stringContaining(message) as string })

describe('a config that asks for a signature by itself', () => {
  test('is taken when one of the keys signed it, and says which', async () => {
    const [one, two] = [opensslKeys('one'), opensslKeys('two')]
    writeFileSync(`${home}/both.pub`, readFileSync(one.publicFile, 'utf8') + readFileSync(two.publicFile, 'utf8'))
    write(asking(`${home}/both.pub`))
    for (const keys of [one, two]) {
      await signFile(file, keys.privateFile)
      expect(await load()).toMatchObject({ signedBy: keys.id, keyFiles: [`${home}/both.pub`] })
    }
  })

  test('is refused without a signature, altered, and by another key', async () => {
    const [one, two] = [opensslKeys('one'), opensslKeys('two')]
    write(asking(one.publicFile))
    await expect(load()).rejects.toMatchObject(refused('config-unsigned', `${file} has no signature`))
    await signFile(file, two.privateFile)
    await expect(load()).rejects.toMatchObject(refused('config-signature-wrong', `is by the key ${two.id}`))
    await signFile(file, one.privateFile)
    await load()
    writeFileSync(file, `${readFileSync(file, 'utf8')}# more\n`)
    await expect(load()).rejects.toMatchObject(refused('config-signature-wrong', 'is not of'))
  })

  test('is refused when its keys cannot be trusted, or are not there', async () => {
    const one = opensslKeys('one')
    write(asking(one.publicFile))
    await signFile(file, one.privateFile)
    chmodSync(one.publicFile, 0o666)
    await expect(load()).rejects.toMatchObject(refused('config-key-unusable', one.publicFile))
    rmSync(one.publicFile)
    await expect(load()).rejects.toMatchObject(refused('config-key-unusable', one.publicFile))
  })

  test('is refused when others could have written its signature', async () => {
    const one = opensslKeys('one')
    write(asking(one.publicFile))
    await signFile(file, one.privateFile)
    chownSync(`${file}.sig`, 65_534, 0)
    await expect(load()).rejects.toMatchObject(refused('config-unsafe', `${file}.sig belongs to uid 65534`))
  })
})

describe('what the running config asks for', () => {
  test('is asked of the next one, which cannot name keys of its own or drop the wish', async () => {
    const [ours, theirs] = [opensslKeys('ours'), opensslKeys('theirs')]
    write(asking(ours.publicFile))
    await signFile(file, ours.privateFile)
    const { keyFiles } = await load()
    expect(keyFiles).toEqual([ours.publicFile])
    write()
    await signFile(file, theirs.privateFile)
    await expect(load(keyFiles)).rejects.toMatchObject(refused('config-signature-wrong', `by the key ${theirs.id}`))
    write(asking(theirs.publicFile))
    await signFile(file, theirs.privateFile)
    await expect(load(keyFiles)).rejects.toMatchObject(refused('config-signature-wrong', `by the key ${theirs.id}`))
    rmSync(`${file}.sig`)
    await expect(load(keyFiles)).rejects.toMatchObject(refused('config-unsigned', 'has no signature'))
    write()
    await signFile(file, ours.privateFile)
    await expect(load(keyFiles)).rejects.toMatchObject(refused('config-unsigned', 'lacks config.requireSignature'))
  })

  test('moves to other keys by a config that keys of both files signed', async () => {
    const [old, next] = [opensslKeys('old'), opensslKeys('next')]
    write(asking(next.publicFile))
    await signFile(file, next.privateFile)
    await expect(load([old.publicFile])).rejects.toMatchObject(refused('config-signature-wrong', next.id))
    writeFileSync(old.publicFile, readFileSync(old.publicFile, 'utf8') + readFileSync(next.publicFile, 'utf8'))
    expect(await load([old.publicFile])).toMatchObject({ signedBy: next.id, keyFiles: [next.publicFile] })
  })
})

describe('config-signing.pub beside the config', () => {
  test('asks for a signature at the first load, whatever the config says', async () => {
    const ours = opensslKeys('ours')
    writeFileSync(anchor, readFileSync(ours.publicFile))
    await expect(load()).rejects.toMatchObject(refused('config-unsigned', `and ${anchor} asks for one`))
    await signFile(file, ours.privateFile)
    expect(await load()).toMatchObject({ signedBy: ours.id, keyFiles: [anchor] })
  })

  test('is asked although the config names other keys, and both must have signed', async () => {
    const [ours, theirs] = [opensslKeys('ours'), opensslKeys('theirs')]
    writeFileSync(anchor, readFileSync(ours.publicFile))
    write(asking(theirs.publicFile))
    for (const [keys, keyFile] of [
      [ours, theirs.publicFile],
      [theirs, anchor],
    ] as const) {
      await signFile(file, keys.privateFile)
      await expect(load()).rejects.toMatchObject(refused('config-signature-wrong', `must be by one of ${keyFile}`))
    }
  })

  test('is missed when it was in force and has gone', async () => {
    const ours = opensslKeys('ours')
    writeFileSync(anchor, readFileSync(ours.publicFile))
    await signFile(file, ours.privateFile)
    const { keyFiles } = await load()
    rmSync(anchor)
    await expect(load(keyFiles)).rejects.toMatchObject(refused('config-key-unusable', anchor))
  })

  test('refuses everything when others could have written it', async () => {
    writeFileSync(anchor, readFileSync(opensslKeys('ours').publicFile))
    chmodSync(anchor, 0o664)
    await expect(load()).rejects.toMatchObject(refused('config-unsafe', `${anchor} has mode 0664`))
  })
})

test('what may be parsed is decided first: a broken config without its signature is config-unsigned', async () => {
  writeFileSync(anchor, readFileSync(opensslKeys('ours').publicFile))
  writeFileSync(file, '{{{')
  await expect(load()).rejects.toMatchObject({ code: 'config-unsigned' })
})

test('stamp differs with the signature, hash does not', async () => {
  const before = await readTrustedConfig(file, 'host-a')
  await signFile(file, opensslKeys('one').privateFile)
  const after = await readTrustedConfig(file, 'host-a')
  expect(after.hash).toBe(before.hash)
  expect(after.stamp).not.toBe(before.stamp)
})

test('makeKeyPair() makes keys that OpenSSL reads, the private one for its owner alone, and overwrites none', async () => {
  const made = await makeKeyPair(`${home}/new`)
  expect([statSync(made.privateFile).mode & 0o777, statSync(made.publicFile).mode & 0o777]).toEqual([0o600, 0o644])
  const shown = execFileSync('openssl', ['pkey', '-in', made.privateFile, '-pubout'], { encoding: 'utf8' })
  expect(readFileSync(made.publicFile, 'utf8')).toBe(shown)
  await expect(makeKeyPair(`${home}/new`)).rejects.toMatchObject({ code: 'request-invalid' })
  await signFile(file, made.privateFile)
  expect(await verifyFile(file, made.publicFile)).toMatchObject({ key: made.key, publicKeyFile: made.publicFile })
})

test('signFile() refuses a private key that others can read', async () => {
  const one = opensslKeys('one')
  chmodSync(one.privateFile, 0o644)
  await expect(signFile(file, one.privateFile)).rejects.toMatchObject({ code: 'file-unsafe' })
})

test('verifyFile() uses the keys beside the config, else those that it names, else asks for them', async () => {
  const one = opensslKeys('one')
  await signFile(file, one.privateFile)
  await expect(verifyFile(file, undefined)).rejects.toMatchObject({ code: 'request-invalid' })
  write(asking(one.publicFile))
  await expect(verifyFile(file, undefined)).rejects.toMatchObject({ code: 'config-signature-wrong' })
  await signFile(file, one.privateFile)
  expect((await verifyFile(file, undefined)).publicKeyFile).toBe(one.publicFile)
  writeFileSync(anchor, readFileSync(one.publicFile))
  expect((await verifyFile(file, undefined)).publicKeyFile).toBe(anchor)
})
