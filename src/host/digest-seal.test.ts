import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { SafeDir } from '../linux/safe-dir.ts'
import { DigestSeal } from './digest-seal.ts'
import { notToBeHad } from './keepalived-config.ts'
import type { Inspection } from './operation.ts'

const root = mkdtempSync(join(tmpdir(), 'kwt-seal-'))
afterAll(() => {
  rmSync(root, { recursive: true })
})

const asOf = { wallMs: 0, monoMs: 0 }
const digest = 'ab'.repeat(32)
const inspection = (wantedDigest: string, writtenDigest: string | undefined): Inspection => ({
  process: {
    ...{ kind: 'running', pid: 2, childPid: 3, stopped: false, deaf: false, tied: false, startedAt: asOf },
    ...{ loadedDigest: digest, asOf },
  },
  settings: {
    ...{ kind: 'seen', namespaceReady: true, wantedDigest, writtenDigest, change: 'none', misattached: [] },
    ...{ filter: { kind: 'missing', failure: undefined }, reactions: [], hooks: [], asOf },
  },
})

test('DigestSeal compares as the digests did, tells none of them, and stays so across a restart', async () => {
  using dir = SafeDir.open(join(root, 'a'), { create: true })
  const sealed = (await DigestSeal.open(dir)).inspection(inspection(digest, digest))
  const { settings, process } = sealed
  if (settings.kind !== 'seen' || process.kind !== 'running') throw new Error('it lost its kind')
  expect(settings.wantedDigest).toMatch(/^[0-9a-f]{64}$/)
  expect([settings.writtenDigest, process.loadedDigest]).toEqual([settings.wantedDigest, settings.wantedDigest])
  expect(JSON.stringify(sealed)).not.toContain(digest)
  expect((await DigestSeal.open(dir)).inspection(inspection(digest, digest))).toEqual(sealed)
  using other = SafeDir.open(join(root, 'b'), { create: true })
  expect((await DigestSeal.open(other)).inspection(inspection(digest, digest))).not.toEqual(sealed)
  expect(statSync(join(root, 'a', 'digest.key')).mode & 0o777).toBe(0o600)
})

test('DigestSeal leaves what is no digest as it is', async () => {
  using dir = SafeDir.open(join(root, 'c'), { create: true })
  const seal = await DigestSeal.open(dir)
  expect(seal.inspection(inspection(notToBeHad, undefined)).settings).toMatchObject({
    wantedDigest: notToBeHad,
    writtenDigest: undefined,
  })
  expect(seal.inspection(inspection('', 'left')).settings).toMatchObject({ wantedDigest: '', writtenDigest: 'left' })
  expect(seal.process({ kind: 'absent', asOf })).toEqual({ kind: 'absent', asOf })
})
