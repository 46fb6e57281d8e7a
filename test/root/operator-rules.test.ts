import { chmodSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createNamespace, listNamespaces, openNamespace } from '../../src/linux/netns.ts'
import { run } from '../../src/linux/run.ts'
import type { TableEvidence } from '../../src/router/evidence.ts'
import { RealHostUnderTest } from '../support/real-host.ts'
import { table } from '../support/router.ts'

let it: RealHostUnderTest
let directory: string
let file: string
beforeEach(async () => {
  it = await RealHostUnderTest.open()
  directory = mkdtempSync('/run/kwt-rules-')
  file = `${directory}/r1.nft`
})
afterEach(async () => {
  await it.end()
  rmSync(directory, { recursive: true })
  expect(listNamespaces().filter((name) => name.startsWith(`keepward-try-${String(process.pid)}-`))).toEqual([])
})

const good = `#!/usr/sbin/nft -f
# include nothing, flush nothing
define inside = 10.9.0.0/24
table inet theirs
delete table inet theirs
table inet theirs {
  counter passed { }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iif "ext0" ip saddr $inside counter name passed comment "include"
    iifname "ext0" tcp dport 22 counter drop
  }
}
table ip more { chain any { accept; }; }
`

const wanted = (path: string | undefined) =>
  table([{ ...it.spec, packetFilter: path === undefined ? undefined : { file: path } }])
const ensure = () => it.host.perform({ verb: 'ensure-table', router: it.spec.id, table: 'operator' })

async function make(text: string | undefined): Promise<void> {
  if (text !== undefined) writeFileSync(file, text)
  await it.host.configure(wanted(text === undefined ? undefined : file))
  await it.host.perform({ verb: 'ensure-namespace', router: it.spec.id })
  await it.host.perform({ verb: 'ensure-interface', router: it.spec.id, interface: 'ext0' })
  await ensure()
}

async function evidence(): Promise<TableEvidence> {
  const { settings } = await it.host.perform({ verb: 'inspect', router: it.spec.id })
  if (settings.kind !== 'seen') throw new Error('not seen')
  return settings.tables.operator
}

async function nft(...words: string[]): Promise<string> {
  using namespace = openNamespace(it.spec.namespace)
  return (await run(['nft', ...words], { namespaceFd: namespace.fd })).stdout
}

/** Names of the tables there are. */
const tables = async (): Promise<string[]> => (await nft('list', 'tables')).trim().split('\n').sort()

const both = ['table inet keepward_operator', 'table inet theirs', 'table ip more']
const ready = { kind: 'ready' }
const missing = { kind: 'missing', failure: undefined }

describe('an operator’s file', () => {
  test('is in force as it is written, with the names of its tables', async () => {
    await make(good)
    expect(await evidence()).toEqual(ready)
    expect(await tables()).toEqual(both)
    expect(await nft('list', 'table', 'inet', 'keepward_operator')).toBe(
      'table inet keepward_operator {\n\tchain inet/theirs {\n\t}\n\n\tchain ip/more {\n\t}\n}\n',
    )
    expect(await nft('list', 'chain', 'inet', 'theirs', 'forward')).toContain('iif "ext0" ip saddr 10.9.0.0/24')
  })

  test('is not read again before the config is taken over, and then takes the place of the one before', async () => {
    await make(good)
    writeFileSync(file, 'table inet other { chain input { type filter hook input priority 0; drop; }; }\n')
    await ensure()
    expect(await evidence()).toEqual(ready)
    expect(await tables()).toEqual(both)
    await it.host.configure(wanted(file))
    expect(await evidence()).toEqual(missing)
    await ensure()
    expect(await evidence()).toEqual(ready)
    expect(await tables()).toEqual(['table inet keepward_operator', 'table inet other'])
  })

  test('is as it was applied for a root half that is started anew, whatever the file says by now', async () => {
    await make(good)
    writeFileSync(file, 'table inet other { chain input { accept; }; }\n')
    await it.reopen()
    await it.host.configure({ ...wanted(file), again: true })
    expect(await evidence()).toEqual(missing)
    await ensure()
    expect(await evidence()).toEqual(ready)
    expect(await tables()).toEqual(both)
    await it.reopen()
    await it.host.configure(wanted(file))
    await ensure()
    expect(await tables()).toEqual(['table inet keepward_operator', 'table inet other'])
  })

  test('goes with its tables when the config names none, also after a restart, and leaves those of others', async () => {
    await make(good)
    await nft('add', 'table', 'inet', 'strangers')
    await it.reopen()
    await it.host.configure(wanted(undefined))
    expect(await evidence()).toEqual(missing)
    await ensure()
    expect(await evidence()).toEqual(ready)
    expect(await tables()).toEqual(['table inet strangers'])
  })

  test('goes with its tables when the config names none, also once the list of these was removed', async () => {
    await make(good)
    await nft('delete', 'table', 'inet', 'keepward_operator')
    await it.host.configure(wanted(undefined))
    expect(await evidence()).toEqual(missing)
    await ensure()
    expect(await evidence()).toEqual(ready)
    expect((await nft('list', 'tables')).trim()).toBe('')
  })

  test('leaves no copy of itself once nothing is wanted, or another router', async () => {
    const copies = () => readdirSync(`${it.run}/packet-filters`)
    await make(good)
    expect(copies()).toEqual([it.spec.id])
    await it.host.configure('nothing')
    expect(copies()).toEqual([])
    await it.host.configure(wanted(file))
    expect(copies()).toEqual([it.spec.id])
    await it.host.configure(table([]))
    expect(copies()).toEqual([])
  })

  test('goes with the router from a namespace of somebody else', async () => {
    await createNamespace(it.spec.namespace)
    await make(good)
    await nft('add', 'table', 'inet', 'strangers')
    await it.host.perform({ verb: 'remove-router', router: it.spec.id })
    expect(await tables()).toEqual(['table inet strangers'])
  })

  test.each([
    ['a table of it is removed', ['delete', 'table', 'ip', 'more']],
    ['a rule of it is flushed', ['flush', 'chain', 'inet', 'theirs', 'forward']],
    ['a rule is added', ['add', 'rule', 'inet', 'theirs', 'forward', 'accept']],
    ['the list of its tables is removed', ['delete', 'table', 'inet', 'keepward_operator']],
    ['the whole ruleset is flushed', ['flush', 'ruleset']],
  ])('is missing once %s, and is made again', async (_, words) => {
    await make(good)
    const before = await nft('list', 'ruleset')
    expect(await evidence()).toEqual(ready)
    await nft(...words)
    expect(await evidence()).toEqual({ ...missing, gone: true })
    await ensure()
    expect(await evidence()).toEqual(ready)
    expect(await nft('list', 'ruleset')).toBe(before)
  })

  test('may end in a comment without a newline', async () => {
    await make(`${good}# the end`)
    expect(await evidence()).toEqual(ready)
  })

  test('stays as it is when only packets or elements of sets change', async () => {
    await make(
      'table inet theirs { set bad { type ipv4_addr; }; chain input { type filter hook input priority 0; counter; }; }\n',
    )
    await nft('add', 'element', 'inet', 'theirs', 'bad', '{ 192.0.2.1 }')
    expect(await evidence()).toEqual(ready)
  })

  test('does not take over a table that somebody else has made', async () => {
    await make(undefined)
    await nft('add', 'table', 'ip', 'more')
    await make(good)
    expect(await evidence()).toMatchObject({
      kind: 'missing',
      failure: { why: expect.stringContaining('it touches table ip more, which is there already') as string },
    })
    expect(await tables()).toEqual(['table ip more'])
    await nft('delete', 'table', 'ip', 'more')
    await ensure()
    expect(await evidence()).toEqual(ready)
  })

  test('does not remove a table that somebody else has made', async () => {
    await make(undefined)
    await nft('add', 'table', 'ip', 'filter')
    const text = 'table ip filter\ndelete table ip filter\ntable ip own { chain input { accept; }; }\n'
    await make(text)
    expect(await evidence()).toMatchObject({
      failure: { why: expect.stringContaining('it touches table ip filter') as string },
    })
    expect(await tables()).toEqual(['table ip filter'])
  })

  const table1 = 'table inet theirs { chain input { accept; }; }\n'
  test.each([
    ['a flush of the ruleset', `flush ruleset\n${table1}`, 'it flushes the ruleset'],
    ['a flush of one family', `${table1}flush ruleset ip\n`, 'it flushes the ruleset'],
    ['a flush that a comment hides', `flush /* */ ruleset\n${table1}`, 'nft does not take it'],
    ['a flush on one line with the rest', `${table1.trim()}; flush ruleset inet`, 'it flushes the ruleset'],
    ['a table of ours', `delete table inet keepward_vrrp\n${table1}`, 'it names tables that begin with keepward_'],
    [
      'a table of ours by a definition',
      `define one = keepward_nat\nadd element inet $one x { 1 }\n${table1}`,
      'keepward_',
    ],
    ['a table by handle', `delete table inet handle 1\n${table1}`, 'it names objects by handle'],
    ['an include', `include "/etc/nftables.conf"\n${table1}`, 'it includes other files'],
    ['an include in a table', 'table inet theirs { include "/tmp/x"; }\n', 'it includes other files'],
    ['an include after a quote in a comment', `# it's "\ninclude "/tmp/x"\n${table1}`, 'it includes other files'],
    ['what nft does not understand', 'table inet theirs {\n  chain input { acept; };\n}\n', '/dev/stdin:2:'],
    ['what the kernel does not take', 'table inet theirs { chain input { jump nowhere; }; }\n', 'nft does not take it'],
    ['an interface that the router has not', 'table inet theirs { chain input { iif "ext9" accept; }; }\n', 'ext9'],
    ['nothing', '# later\n', 'it makes no table that stays'],
    ['a table that goes with its owner', 'table inet theirs { flags owner; }\n', 'it makes no table that stays'],
    ['a name of 201 letters', `table inet ${'a'.repeat(201)} { chain input { accept; }; }\n`, 'is too long'],
  ])('is refused for %s, before anything is taken over; the one before stays', async (_, text, why) => {
    await make(good)
    writeFileSync(file, text)
    await expect(it.host.stage(wanted(file))).rejects.toMatchObject({
      code: 'packet-filter-refused',
      message: `The packet filter ${file} of router ${it.spec.id} is refused`,
      cause: { message: expect.stringContaining(why) as string },
    })
    expect(await evidence()).toEqual(ready)
    await it.host.configure(wanted(file))
    await ensure()
    expect(await evidence()).toMatchObject({
      kind: 'missing',
      failure: { why: expect.stringContaining(why) as string },
    })
    expect(await tables()).toEqual(both)
  })

  test.each<readonly [string, string, () => void]>([
    ['that is not there', 'file-failed', () => undefined],
    [
      'that others can write',
      'file-unsafe',
      () => {
        writeFileSync(file, good)
        chmodSync(file, 0o666)
      },
    ],
    [
      'in a directory of all',
      'directory-unsafe',
      () => {
        writeFileSync(file, good)
        chmodSync(directory, 0o777)
      },
    ],
    [
      'that is a link',
      'file-unsafe',
      () => {
        writeFileSync(`${directory}/real`, good)
        symlinkSync(`${directory}/real`, file)
      },
    ],
    [
      'that is too long',
      'file-unsafe',
      () => {
        writeFileSync(file, `#${' '.repeat(1024 * 1024)}\n${good}`)
      },
    ],
  ])('is refused when it is one %s', async (_, code, prepare) => {
    prepare()
    await expect(it.host.stage(wanted(file))).rejects.toMatchObject({
      code,
      message: `Cannot read the packet filter of router ${it.spec.id}`,
    })
    await make(undefined)
    await it.host.configure(wanted(file))
    await ensure()
    expect(await evidence()).toMatchObject({
      kind: 'missing',
      failure: { why: expect.stringContaining('Cannot read the packet filter') as string },
    })
  })
})
