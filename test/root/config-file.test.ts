import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/read.ts'
import { readAtStart } from '../../src/config/applied.ts'
import { readTrustedConfig } from '../../src/config/trusted.ts'

const stranger = 65_534
const text = 'version: 1\nrouters: []\n'
/** sha256sum(1) of the text. */
const digest = 'b634a01f0398b67d32cd96906d4780ccc61eccf272b9570555a8c64ced0b1b50'

let home: string
let file: string

beforeEach(() => {
  home = mkdtempSync('/tmp/kwt-config-')
  mkdirSync(`${home}/etc/keepward`, { recursive: true, mode: 0o755 })
  file = `${home}/etc/keepward/agent.yaml`
  writeFileSync(file, text, { mode: 0o644 })
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

const read = (path = file) => readTrustedConfig(path, 'host-a')

describe('readTrustedConfig()', () => {
  test.each([0o644, 0o600, 0o444])('reads a file of root with mode %o, below a sticky /tmp', async (mode) => {
    chmodSync(file, mode)
    const found = await read()
    expect(found.hash).toBe(digest)
    expect(await found.load()).toMatchObject({ hash: digest, config: { agent: { id: 'host-a' } } })
  })

  const why = 'The configuration is not root’s alone: '
  const fileHint = 'it must be a file with one name that belongs to root and is writable by no one else'

  test.each<readonly [what: string, make: () => void, says: () => string]>([
    [
      'belongs to another user',
      () => {
        chownSync(file, stranger, 0)
      },
      () => `${file} belongs to uid 65534`,
    ],
    [
      'is writable by its group',
      () => {
        chmodSync(file, 0o664)
      },
      () => `Others can write ${file}: mode 0664`,
    ],
    [
      'is writable by everybody',
      () => {
        chmodSync(file, 0o646)
      },
      () => `Others can write ${file}: mode 0646`,
    ],
    [
      'has a second name',
      () => {
        linkSync(file, `${home}/other`)
      },
      () => `${file} has 2 names (hard links), wanted one`,
    ],
    [
      'is a FIFO',
      () => {
        rmSync(file)
        execFileSync('mkfifo', [file])
      },
      () => `${file} is no regular file`,
    ],
  ])('refuses with config-unsafe when the file %s', async (_what, make, says) => {
    make()
    await expect(read()).rejects.toMatchObject({ code: 'config-unsafe', message: why + says(), hint: fileHint })
  })

  test('refuses a link in the place of the file, even to a file of root', async () => {
    renameSync(file, `${home}/real`)
    symlinkSync(`${home}/real`, file)
    const message = `${why}Cannot open ${file}: it is a symlink`
    await expect(read()).rejects.toMatchObject({ code: 'config-unsafe', message })
  })

  const hint = 'it and every directory above it must belong to root and be writable by no one else'

  test.each(['etc/keepward', 'etc'])('refuses when the directory %s on the way is not root’s alone', async (name) => {
    const directory = `${home}/${name}`
    chownSync(directory, stranger, 0)
    const owned = `${why}Others can change ${directory}: owner 65534, mode 0755`
    await expect(read()).rejects.toMatchObject({ code: 'config-unsafe', message: owned, hint })
    chownSync(directory, 0, 0)
    chmodSync(directory, 0o775)
    const open = `${why}Others can change ${directory}: owner 0, mode 0775`
    await expect(read()).rejects.toMatchObject({ code: 'config-unsafe', message: open, hint })
  })

  test('refuses a directory on the way that is a link', async () => {
    symlinkSync(`${home}/etc`, `${home}/link`)
    const message = `${why}${home}/link is a symlink or no directory`
    await expect(read(`${home}/link/keepward/agent.yaml`)).rejects.toMatchObject({ code: 'config-unsafe', message })
  })

  test('with `find`, an account that the host does not have is a problem of the config, named with its line', async () => {
    writeFileSync(file, 'version: 1\nstateChange: { socketGroup: nobodies }\nrouters: []\n', { mode: 0o644 })
    const find = (_database: string, name: string) => Promise.resolve(name === 'known' ? 1 : undefined)
    const loading = (await readTrustedConfig(file, 'host-a', find)).load()
    const message = `${file}:2:29 stateChange.socketGroup: is "nobodies", must be a group that this host has`
    await expect(loading).rejects.toMatchObject({ code: 'config-invalid', message })
  })

  test('readAtStart() asks for accounts that the agent needs, and for none of a router alone', async () => {
    const router = `routers:
  - id: r1
    vrid: 7
    ha: { interface: ha0, unicast: { source: 169.254.192.1, peers: [169.254.192.2] } }
    interfaces: [{ name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }]
    hooks: [{ program: /x, user: nobodies }]
`
    const find = () => Promise.resolve(undefined)
    writeFileSync(file, `version: 1\n${router}`, { mode: 0o644 })
    expect((await readAtStart(file, 'host-a', find)).loaded.config.routers).toHaveLength(1)
    await expect((await readTrustedConfig(file, 'host-a', find)).load()).rejects.toThrow('hooks[0].user')
    writeFileSync(file, `version: 1\nstateChange: { socketGroup: nobodies }\n${router}`, { mode: 0o644 })
    await expect(readAtStart(file, 'host-a', find)).rejects.toThrow(/socketGroup: is "nobodies"[^\n]*$/)
  })

  test('refuses a file and a directory of the user that it runs as, when that is not root', () => {
    const runsAs = (path: string): string => {
      const script = `
        const { readTrustedConfig } = await import(${JSON.stringify(`${import.meta.dirname}/../../src/config/trusted.ts`)})
        process.setuid(${String(stranger)})
        process.stdout.write(await readTrustedConfig(${JSON.stringify(path)}, 'host-a').then(() => 'read', ({ code }) => code))`
      return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
        timeout: 20_000,
      })
    }
    chmodSync(home, 0o755)
    expect(runsAs(file)).toBe('read')
    chownSync(`${home}/etc/keepward`, stranger, stranger)
    expect(runsAs(file)).toBe('config-unsafe')
    chownSync(`${home}/etc/keepward`, 0, 0)
    chownSync(file, stranger, stranger)
    expect(runsAs(file)).toBe('config-unsafe')
  })

  test('says config-unreadable of a file that is not there', async () => {
    rmSync(file)
    const message = `Cannot read the configuration: ${file} does not exist`
    await expect(read()).rejects.toMatchObject({ code: 'config-unreadable', message })
  })
})

test('readConfig() reads for a person whoever owns the file', async () => {
  chownSync(file, stranger, stranger)
  chmodSync(file, 0o666)
  expect((await readConfig(file, 'host-a')).hash).toBe(digest)
})
