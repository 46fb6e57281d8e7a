import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
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

const sha256sum = (path: string): string => execFileSync('sha256sum', [path], { encoding: 'utf8' }).slice(0, 64)

function write(config = ''): void {
  writeFileSync(file, `version: 1\n${config === '' ? '' : `config: { ${config} }\n`}routers: []\n`, { mode: 0o644 })
}

const trust = (...keys: readonly Keys[]): void => {
  writeFileSync(anchor, keys.map(({ publicFile }) => readFileSync(publicFile, 'utf8')).join(''))
}
const load = async (running?: { readonly signedBy: string | undefined }) =>
  (await readTrustedConfig(file, 'host-a')).load(running)
const refused = (code: string, message: string) => ({ code, message: expect.stringContaining(message) as string })

describe.each(['', 'requireSignature: true', 'requireSignature: false'])(
  'config-signing.pub beside a config that says "%s" of it',
  (says) => {
    test('asks for a signature by one of its keys, and says by which', async () => {
      const [one, two] = [opensslKeys('one'), opensslKeys('two')]
      trust(one, two)
      write(says)
      await expect(load()).rejects.toMatchObject(
        refused('config-unsigned', `${file} has no signature, and ${anchor} asks for one`),
      )
      for (const keys of [one, two]) {
        await signFile(file, keys.privateFile)
        expect(await load()).toMatchObject({ signedBy: keys.id })
      }
    })

    test('refuses a file that was altered, and one that another key signed', async () => {
      const [ours, theirs] = [opensslKeys('ours'), opensslKeys('theirs')]
      trust(ours)
      write(says)
      await signFile(file, theirs.privateFile)
      await expect(load()).rejects.toMatchObject(refused('config-signature-wrong', `is by the key ${theirs.id}`))
      await signFile(file, ours.privateFile)
      await load()
      writeFileSync(file, `${readFileSync(file, 'utf8')}# more\n`)
      await expect(load()).rejects.toMatchObject(refused('config-signature-wrong', 'is not of'))
    })
  },
)

test('a config cannot rid itself of the signature: without requireSignature it needs one as before', async () => {
  const ours = opensslKeys('ours')
  trust(ours)
  write('requireSignature: true')
  await signFile(file, ours.privateFile)
  const running = await load()
  write('requireSignature: false')
  for (const before of [running, undefined]) {
    await expect(load(before)).rejects.toMatchObject(refused('config-signature-wrong', 'is not of'))
  }
  rmSync(`${file}.sig`)
  for (const before of [running, undefined]) {
    await expect(load(before)).rejects.toMatchObject(refused('config-unsigned', 'has no signature'))
  }
})

test('without the keys, requireSignature refuses every config, and so does what runs when it was signed', async () => {
  const ours = opensslKeys('ours')
  await signFile(file, ours.privateFile)
  expect(await load()).toMatchObject({ signedBy: undefined })
  expect(await load({ signedBy: undefined })).toMatchObject({ signedBy: undefined })
  const says = `There is no ${anchor}, and `
  await expect(load({ signedBy: ours.id })).rejects.toMatchObject(
    refused('config-key-unusable', `${says}the config that runs was signed`),
  )
  write('requireSignature: true')
  await signFile(file, ours.privateFile)
  await expect(load()).rejects.toMatchObject(refused('config-key-unusable', `${says}${file} asks for a signature`))
})

test('other keys take over once they stand in the file, and those that were taken out are refused', async () => {
  const [old, next] = [opensslKeys('old'), opensslKeys('next')]
  trust(old)
  await signFile(file, old.privateFile)
  const running = await load()
  trust(old, next)
  await signFile(file, next.privateFile)
  expect(await load(running)).toMatchObject({ signedBy: next.id })
  trust(next)
  expect(await load(running)).toMatchObject({ signedBy: next.id })
  await signFile(file, old.privateFile)
  await expect(load(running)).rejects.toMatchObject(refused('config-signature-wrong', `is by the key ${old.id}`))
})

describe('what others than root could have written is refused', () => {
  test.each([
    ['the keys', () => anchor],
    ['the signature', () => `${file}.sig`],
  ])('%s', async (_what, path) => {
    const ours = opensslKeys('ours')
    trust(ours)
    await signFile(file, ours.privateFile)
    await load()
    chmodSync(path(), 0o664)
    await expect(load()).rejects.toMatchObject(refused('config-unsafe', `Others can write ${path()}: mode 0664`))
    chmodSync(path(), 0o644)
    chownSync(path(), 65_534, 0)
    await expect(load()).rejects.toMatchObject(refused('config-unsafe', `${path()} belongs to uid 65534`))
  })

  test('a link in the place of the keys, even one that leads nowhere', async () => {
    symlinkSync(`${home}/none`, anchor)
    await expect(load()).rejects.toMatchObject(refused('config-unsafe', `${anchor}: it is a symlink`))
  })
})

test('keys that are none refuse every config', async () => {
  writeFileSync(anchor, '')
  await expect(load()).rejects.toMatchObject(refused('config-key-unusable', anchor))
})

test('what may be parsed is decided first: a broken config without its signature is config-unsigned', async () => {
  trust(opensslKeys('ours'))
  writeFileSync(file, '{{{')
  await expect(load()).rejects.toMatchObject({ code: 'config-unsigned' })
})

test('stamp differs with the signature and the keys, hash does not', async () => {
  const stamps = new Set<string>()
  const look = async () => {
    const found = await readTrustedConfig(file, 'host-a')
    stamps.add(found.stamp)
    return found.hash
  }
  const hashes = new Set([await look(), await look()])
  const keys = opensslKeys('one')
  await signFile(file, keys.privateFile)
  hashes.add(await look())
  trust(keys)
  hashes.add(await look())
  expect([stamps.size, hashes.size]).toEqual([3, 1])
})

test('makeKeyPair() makes keys that OpenSSL reads, the private one for its owner alone, and overwrites none', async () => {
  const made = await makeKeyPair(`${home}/new`)
  expect([statSync(made.privateFile).mode & 0o777, statSync(made.publicFile).mode & 0o777]).toEqual([0o600, 0o644])
  const shown = execFileSync('openssl', ['pkey', '-in', made.privateFile, '-pubout'], { encoding: 'utf8' })
  expect(readFileSync(made.publicFile, 'utf8')).toBe(shown)
  await expect(makeKeyPair(`${home}/new`)).rejects.toMatchObject({ code: 'request-invalid' })
  await signFile(file, made.privateFile)
  expect(await verifyFile(file, made.publicFile)).toEqual({
    key: made.key,
    keysFile: made.publicFile,
    digest: sha256sum(file),
  })
})

test('signFile() refuses a private key that others can read', async () => {
  const one = opensslKeys('one')
  chmodSync(one.privateFile, 0o644)
  await expect(signFile(file, one.privateFile)).rejects.toMatchObject({ code: 'file-unsafe' })
})

test('verifyFile() uses the keys beside the config, and says when there are none', async () => {
  const one = opensslKeys('one')
  await signFile(file, one.privateFile)
  const says = `There is no ${anchor}, and a signature is verified with it`
  await expect(verifyFile(file)).rejects.toMatchObject(refused('config-key-unusable', says))
  trust(one)
  expect(await verifyFile(file)).toMatchObject({ key: one.id, keysFile: anchor })
  write('applyChanges: true')
  await expect(verifyFile(file)).rejects.toMatchObject({ code: 'config-signature-wrong' })
})
