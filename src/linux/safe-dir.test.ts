import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
  readSync,
} from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SafeDir } from './safe-dir.ts'

let root: string
let umask: number

beforeEach(() => {
  root = mkdtempSync('/tmp/kwt-safe-')
  umask = process.umask(0o022)
})

afterEach(() => {
  process.umask(umask)
  rmSync(root, { recursive: true, force: true })
})

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8)

describe('SafeDir.open()', () => {
  test.for([0o000, 0o077, 0o777])('makes what is missing with the modes asked whatever the umask (%o)', (mask, it) => {
    it.skip(mask === 0o777 && process.getuid?.() !== 0, 'only root gets on in a directory made with no permission')
    process.umask(mask)
    SafeDir.open(`${root}/a/b`, { create: true }).close()
    expect([mode(`${root}/a`), mode(`${root}/a/b`)]).toEqual(['755', '700'])
    SafeDir.open(`${root}/a/shared`, { create: true, mode: 0o750 }).close()
    expect(mode(`${root}/a/shared`)).toBe('750')
  })

  test('refuses a directory that is missing when not told to make it', () => {
    expect(() => SafeDir.open(`${root}/none`)).toThrow(`Cannot open the directory ${root}/none`)
  })

  test('refuses a symlink on the way and at the end', () => {
    mkdirSync(`${root}/real/state`, { recursive: true, mode: 0o700 })
    symlinkSync(`${root}/real`, `${root}/link`)
    expect(() => SafeDir.open(`${root}/link/state`)).toThrow(`${root}/link is a symlink or no directory`)
    symlinkSync(`${root}/real/state`, `${root}/state`)
    expect(() => SafeDir.open(`${root}/state`, { create: true })).toThrow(`${root}/state is a symlink or no directory`)
  })

  test('refuses a directory on the way that others can write', () => {
    mkdirSync(`${root}/open/state`, { recursive: true, mode: 0o700 })
    chmodSync(`${root}/open`, 0o775)
    expect(() => SafeDir.open(`${root}/open/state`)).toThrow(`Others can change ${root}/open`)
  })

  test('refuses a directory whose mode is not the one asked', () => {
    mkdirSync(`${root}/wide`, { mode: 0o755 })
    expect(() => SafeDir.open(`${root}/wide`)).toThrow(/\/wide belongs to uid \d+ with mode 0755/)
  })

  test.each(['relative', '/tmp/../etc', '/tmp//x', '/tmp/', ''])('refuses the path %j', (path) => {
    expect(() => SafeDir.open(path)).toThrow('is no plain absolute path')
  })
})

describe.each([false, true])('a SafeDir (volatile: %s)', (volatile) => {
  let dir: SafeDir
  beforeEach(() => {
    dir = SafeDir.open(`${root}/state`, { create: true, volatile })
  })
  afterEach(() => {
    dir.close()
  })

  test.each([0o000, 0o777])('write() makes a file 0600 whatever the umask (%o)', async (mask) => {
    process.umask(mask)
    await dir.write('one.conf', 'text')
    expect(mode(`${root}/state/one.conf`)).toBe('600')
    expect(readFileSync(`${root}/state/one.conf`, 'utf8')).toBe('text')
    await dir.write('two', 'x', { mode: 0o640 })
    expect(mode(`${root}/state/two`)).toBe('640')
    expect(readdirSync(`${root}/state`).sort()).toEqual(['one.conf', 'two'])
  })

  test('write() replaces a symlink and leaves its target alone', async () => {
    writeFileSync(`${root}/target`, 'theirs')
    symlinkSync(`${root}/target`, `${root}/state/file`)
    await dir.write('file', 'ours')
    expect(readFileSync(`${root}/target`, 'utf8')).toBe('theirs')
    expect(await dir.readText('file')).toBe('ours')
  })

  test('write() leaves no temporary file when it fails', async () => {
    mkdirSync(`${root}/state/taken`)
    await expect(dir.write('taken', 'x')).rejects.toMatchObject({ code: 'file-failed' })
    expect(readdirSync(`${root}/state`)).toEqual(['taken'])
  })

  test('removeUnfinished() removes what a write left that was killed, and nothing else', async () => {
    for (const name of ['tmp-0123456789abcdef', 'tmp-01', 'file']) writeFileSync(`${root}/state/${name}`, 'x')
    await dir.removeUnfinished()
    expect(readdirSync(`${root}/state`).sort()).toEqual(['file', 'tmp-01'])
  })

  test('stays with its directory when the path is replaced', async () => {
    renameSync(`${root}/state`, `${root}/moved`)
    mkdirSync(`${root}/state`)
    await dir.write('file', 'x')
    expect([existsSync(`${root}/moved/file`), existsSync(`${root}/state/file`)]).toEqual([true, false])
  })

  test('finishes a write that runs when it is closed, and starts none after', async () => {
    const write = dir.write('file', 'x')
    dir.close()
    await write
    expect(readFileSync(`${root}/state/file`, 'utf8')).toBe('x')
    await expect(dir.write('file', 'y')).rejects.toThrow('is closed')
  })

  test('read() is undefined when there is no file', async () => {
    expect(await dir.read('none')).toBe(undefined)
  })

  test('read() refuses symlinks, hard links, FIFOs, directories, other writers and big files', async () => {
    writeFileSync(`${root}/target`, 'x', { mode: 0o600 })
    symlinkSync(`${root}/target`, `${root}/state/symlink`)
    linkSync(`${root}/target`, `${root}/state/hardlink`)
    mkdirSync(`${root}/state/directory`)
    writeFileSync(`${root}/state/writable`, 'x')
    chmodSync(`${root}/state/writable`, 0o666)
    writeFileSync(`${root}/state/big`, 'x'.repeat(11))
    closeSync(dir.makeFifo('fifo'))
    const message = (name: string) => dir.read(name, { maxBytes: 10 }).then(String, (error: unknown) => String(error))
    expect(await message('symlink')).toContain('it is a symlink')
    expect(await message('hardlink')).toContain('has 2 names (hard links)')
    expect(await message('directory')).toContain('is no regular file')
    expect(await message('fifo')).toContain('is no regular file')
    expect(await message('writable')).toContain('Others can write')
    expect(await message('big')).toContain('is 11 bytes, at most 10 are read')
  })

  test('remove() takes a file away, and does not mind when there is none', async () => {
    await dir.write('file', 'x')
    await dir.remove('file')
    await dir.remove('file')
    expect(await dir.list()).toEqual([])
  })

  test('makeFifo() makes a FIFO 0600 that outlives its writers, and takes it up again', () => {
    process.umask(0)
    const fd = dir.makeFifo('notify')
    expect(mode(`${root}/state/notify`)).toBe('600')
    const again = dir.makeFifo('notify')
    writeSync(again, 'line\n')
    closeSync(again)
    const bytes = Buffer.alloc(16)
    expect(bytes.toString('utf8', 0, readSync(fd, bytes))).toBe('line\n')
    closeSync(fd)
  })

  test('makeFifo() refuses what is no FIFO of ours alone', () => {
    writeFileSync(`${root}/state/file`, '')
    expect(() => dir.makeFifo('file')).toThrow('is not a FIFO of ours')
    symlinkSync('/dev/null', `${root}/state/link`)
    expect(() => dir.makeFifo('link')).toThrow('it is a symlink')
    closeSync(dir.makeFifo('wide'))
    chmodSync(`${root}/state/wide`, 0o666)
    expect(() => dir.makeFifo('wide')).toThrow('has not the owner and mode wanted')
  })

  test('openFile() makes a file with the mode asked whatever the umask, and refuses what is no file of ours alone', () => {
    process.umask(0o777)
    closeSync(dir.openFile('made', constants.O_RDWR | constants.O_CREAT))
    expect(mode(`${root}/state/made`)).toBe('600')
    closeSync(dir.openFile('made', constants.O_RDWR | constants.O_CREAT))
    writeFileSync(`${root}/target`, 'theirs')
    linkSync(`${root}/target`, `${root}/state/hardlink`)
    expect(() => dir.openFile('hardlink', constants.O_RDWR | constants.O_CREAT)).toThrow('has 2 names')
    symlinkSync(`${root}/none`, `${root}/state/symlink`)
    expect(() => dir.openFile('symlink', constants.O_RDWR | constants.O_CREAT)).toThrow('it is a symlink')
    expect(existsSync(`${root}/none`)).toBe(false)
  })

  test('removeDirectory() takes away all that is in it and nothing that it links to', async () => {
    mkdirSync(`${root}/state/tree/deep`, { recursive: true })
    mkdirSync(`${root}/outside`)
    writeFileSync(`${root}/outside/file`, 'theirs')
    symlinkSync(`${root}/outside`, `${root}/state/tree/deep/link`)
    linkSync(`${root}/outside/file`, `${root}/state/tree/hardlink`)
    await dir.removeDirectory('tree')
    await dir.removeDirectory('tree')
    expect(readdirSync(`${root}/state`)).toEqual([])
    expect(readFileSync(`${root}/outside/file`, 'utf8')).toBe('theirs')
  })

  test('sub() opens a directory in it under the same rules', async () => {
    using sub = dir.sub('r1', { create: true })
    await sub.write('conf', 'x')
    expect([sub.path, mode(`${root}/state/r1`)]).toEqual([`${root}/state/r1`, '700'])
    symlinkSync(`${root}/state/r1`, `${root}/state/r2`)
    expect(() => dir.sub('r2', { create: true })).toThrow('is a symlink or no directory')
  })

  test.each(['..', '.', '', 'a/b', '.hidden', 'a\0b', 'x'.repeat(201)])('refuses the name %j', async (name) => {
    await expect(dir.write(name, 'x')).rejects.toThrow('is no file name')
    expect(() => dir.openFile(name, constants.O_RDONLY)).toThrow('is no file name')
  })
})
