import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNamespace, openNamespace } from '../../src/linux/netns.ts'
import { run } from '../../src/linux/run.ts'
import type { TablesEvidence } from '../../src/router/evidence.ts'
import type { Nat } from '../../src/router/spec.ts'
import { RealHostUnderTest } from '../support/real-host.ts'
import { prefix, table } from '../support/router.ts'

let it: RealHostUnderTest
beforeEach(async () => {
  it = await RealHostUnderTest.open()
})
afterEach(async () => {
  await it.end()
})

const nat: Nat = {
  sources: [
    { from: [prefix('10.9.0.0/24'), prefix('2001:db8:9::/64')], interface: 'ext0', to: undefined },
    { from: [prefix('10.0.0.0/8')], interface: 'ext0', to: '203.0.113.10' },
  ],
  floating: [
    { inside: '10.9.0.5', outside: '203.0.113.20', interface: 'ext0' },
    { inside: '2001:db8:9::5', outside: '2001:db8:1::20', interface: 'ext0' },
  ],
}

const configure = (wanted: Nat | undefined) => it.host.configure(table([{ ...it.spec, nat: wanted }]))
const ensure = () => it.host.perform({ verb: 'ensure-table', router: it.spec.id, table: 'nat' })

async function make(wanted: Nat | undefined): Promise<void> {
  await configure(wanted)
  await it.host.perform({ verb: 'ensure-namespace', router: it.spec.id })
  await ensure()
}

async function evidence(): Promise<TablesEvidence['nat']> {
  const { settings } = await it.host.perform({ verb: 'inspect', router: it.spec.id })
  if (settings.kind !== 'seen') throw new Error('not seen')
  return settings.tables.nat
}

async function nft(...words: string[]): Promise<string> {
  using namespace = openNamespace(it.spec.namespace)
  return (await run(['nft', ...words], { namespaceFd: namespace.fd })).stdout
}

const missing = { kind: 'missing', failure: undefined }
const ready = { kind: 'ready' }

test.each([
  ['the table is deleted', ['delete', 'table', 'inet', 'keepward_nat']],
  ['the rules of its first chain are flushed', ['flush', 'chain', 'inet', 'keepward_nat', 'prerouting']],
  ['the rules of its second chain are flushed', ['flush', 'chain', 'inet', 'keepward_nat', 'postrouting']],
  ['a rule is put before ours', ['insert', 'rule', 'inet', 'keepward_nat', 'postrouting', 'accept']],
  ['the table is put to sleep', ['add', 'table', 'inet', 'keepward_nat', '{ flags dormant; }']],
  ['a chain drops what is not translated', ['add', 'chain', 'inet', 'keepward_nat', 'prerouting', '{ policy drop; }']],
  ['a chain is added', ['add', 'chain', 'inet', 'keepward_nat', 'theirs']],
])('the translation is missing once %s, and is made again', async (_, words) => {
  await make(nat)
  const before = await nft('list', 'table', 'inet', 'keepward_nat')
  expect(await evidence()).toEqual(ready)
  await nft(...words)
  expect(await evidence()).toEqual({ ...missing, gone: true })
  await ensure()
  expect(await evidence()).toEqual(ready)
  expect(await nft('list', 'table', 'inet', 'keepward_nat')).toBe(before)
})

test('a translation that the config drops is missing no more once its table is gone, which touches no other', async () => {
  await make(nat)
  await nft('add', 'table', 'inet', 'theirs')
  await configure(undefined)
  expect(await evidence()).toEqual(missing)
  await ensure()
  expect(await evidence()).toEqual(ready)
  expect(await nft('list', 'tables')).toBe('table inet theirs\n')
})

test('a table of an agent that ended is not taken for the wanted one, nor left when none is wanted', async () => {
  await make(nat)
  await it.reopen()
  await configure(nat)
  expect(await evidence()).toEqual(missing)
  await configure(undefined)
  expect(await evidence()).toEqual(missing)
  await ensure()
  expect(await nft('list', 'tables')).toBe('')
})

test('removing a router from a namespace of somebody else takes the tables along and leaves theirs', async () => {
  await createNamespace(it.spec.namespace)
  await make(nat)
  await it.host.perform({ verb: 'ensure-table', router: it.spec.id, table: 'vrrp' })
  await nft('add', 'table', 'ip', 'keepward_nat')
  await it.host.perform({ verb: 'remove-router', router: it.spec.id })
  expect(await nft('list', 'tables')).toBe('table ip keepward_nat\n')
})
