import { syncBuiltinESMExports } from 'node:module'
import { existsSync, linkSync, mkdirSync, mkdtempSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { unlinkSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SafeDir } from './safe-dir.ts'

const { lstat, open, rename, unlink } = fs
let root: string
let calls: string[]
let after: (step: string) => void

/** Does what it is asked, notes what is synced and renamed, and lets a test act right after a step. */
beforeEach(() => {
  root = mkdtempSync('/tmp/kwt-file-')
  calls = []
  after = () => undefined
  fs.open = async (...parameters) => {
    const file = await open(...parameters)
    const sync = file.sync.bind(file)
    file.sync = async () => {
      calls.push(`sync ${nameOf(readlinkSync(`/proc/self/fd/${file.fd}`))}`)
      await sync()
    }
    const stat = file.stat.bind(file)
    const looking = (async () => {
      const stats = await stat()
      after(`look at ${nameOf(parameters[0])}`)
      return stats
    }) as typeof file.stat
    file.stat = looking
    after(`open ${nameOf(parameters[0])}`)
    return file
  }
  fs.lstat = (async (path: string) => {
    const stats = await lstat(path)
    after(`look at ${nameOf(path)}`)
    return stats
  }) as typeof lstat
  fs.rename = async (from, to) => {
    calls.push(`rename ${nameOf(from)} ${nameOf(to)}`)
    await rename(from, to)
  }
  fs.unlink = async (path) => {
    try {
      await unlink(path)
    } finally {
      after(`unlink ${nameOf(path)}`)
    }
  }
  syncBuiltinESMExports()
})

afterEach(() => {
  Object.assign(fs, { lstat, open, rename, unlink })
  syncBuiltinESMExports()
  rmSync(root, { recursive: true })
})

const nameOf = (path: unknown): string =>
  String(path)
    .replace(/^.*\//, '')
    .replace(/^tmp-[0-9a-f]{16}$/, 'temporary')

test('write() syncs a file before it gets its name, and its directory after', async () => {
  using dir = SafeDir.open(`${root}/state`, { create: true })
  await dir.write('file', 'text')
  expect(calls).toEqual(['sync temporary', 'rename temporary file', 'sync state'])
})

test('read() refuses a file of others whose link here is removed between opening and looking', async () => {
  using dir = SafeDir.open(`${root}/state`, { create: true })
  writeFileSync(`${root}/theirs`, 'secret', { mode: 0o600 })
  linkSync(`${root}/theirs`, `${root}/state/file`)
  after = (step) => {
    if (step === 'open file') unlinkSync(`${root}/state/file`)
  }
  await expect(dir.read('file')).rejects.toThrow(`${root}/state/file was replaced while it was opened`)
})

test.each([
  ['removed', undefined],
  ['replaced', 'newer'],
])('read() of a file that is %s just after it was opened finds what is there now', async (_, newer) => {
  using dir = SafeDir.open(`${root}/state`, { create: true })
  await dir.write('file', 'older')
  after = (step) => {
    if (step !== 'open file') return
    after = () => undefined
    if (newer === undefined) unlinkSync(`${root}/state/file`)
    else {
      writeFileSync(`${root}/state/other`, newer, { mode: 0o600 })
      renameSync(`${root}/state/other`, `${root}/state/file`)
    }
  }
  expect(await dir.readText('file')).toBe(newer)
})

test.each([1, 2, 3, 4])('read() of a file that goes after it was looked at %i times is no attack', async (times) => {
  using dir = SafeDir.open(`${root}/state`, { create: true })
  await dir.write('file', 'older')
  let looks = 0
  after = (step) => {
    if (step === 'look at file' && ++looks === times) unlinkSync(`${root}/state/file`)
  }
  expect(['older', undefined]).toContain(await dir.readText('file'))
  expect(looks).toBeGreaterThanOrEqual(times)
})

test('removeDirectory() enters no link that takes the place of a directory after it was looked at', async () => {
  using dir = SafeDir.open(`${root}/state`, { create: true })
  mkdirSync(`${root}/theirs`)
  writeFileSync(`${root}/theirs/file`, '')
  mkdirSync(`${root}/state/tree`)
  after = (step) => {
    if (step !== 'unlink tree') return
    renameSync(`${root}/state/tree`, `${root}/state/away`)
    symlinkSync(`${root}/theirs`, `${root}/state/tree`)
  }
  await expect(dir.removeDirectory('tree')).rejects.toMatchObject({ code: 'file-failed' })
  expect(existsSync(`${root}/theirs/file`)).toBe(true)
})
