import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { renderFlows } from '../../src/host/flow-table.ts'
import { createNamespace, deleteNamespace, openNamespace } from '../../src/linux/netns.ts'
import { applyRuleset } from '../../src/linux/nftables.ts'
import { run } from '../../src/linux/run.ts'
import { spawnDetached } from '../../src/linux/spawn-detached.ts'
import { conntrackd } from '../../src/reactions/conntrackd.ts'
import { ip } from '../support/real-host.ts'
import { prefix, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const namespaceName = `kwt-flows-${String(process.pid)}`
const home = mkdtempSync('/tmp/kwt-flows-')
const own = ['169.254.192.1/18', 'fd00:7::1/64', 'fe80::a:1/64']

beforeAll(async () => {
  await createNamespace(namespaceName)
  ip('-n', namespaceName, 'link', 'add', 'ha0', 'type', 'veth', 'peer', 'name', 'out0')
  for (const device of ['lo', 'ha0', 'out0']) ip('-n', namespaceName, 'link', 'set', device, 'up')
  for (const address of own)
    ip('-n', namespaceName, 'address', 'add', address, 'dev', 'ha0', ...(address.includes(':') ? ['nodad'] : []))
})
afterAll(async () => {
  await deleteNamespace(namespaceName)
  rmSync(home, { recursive: true })
})

test.each([
  ['IPv4', '169.254.192.1', '169.254.192.2', '169.254.0.7/24'],
  ['IPv6', 'fd00:7::1', 'fd00:7::2', 'fe80::5652:7/64'],
  ['link-local IPv6', 'fe80::a:1', 'fe80::a:2', 'fe80::5652:7/64'],
])('conntrackd and nft take what is rendered for %s, and its signs of life leave', async (_, source, peer, marker) => {
  const spec = routerSpec({ connectionTracking: { source, peer, port: 3780 }, marker: prefix(marker) })
  const pathOf = (name: string) => join(home, name)
  const plan = conntrackd.plan(spec, 'backup', pathOf)
  if (plan?.tell === undefined) throw new Error('There is no plan')
  for (const [name, text] of plan.files) writeFileSync(pathOf(name), text)
  using namespace = openNamespace(namespaceName)
  const table = 'table inet keepward_flows'
  await applyRuleset(namespace.fd, `add ${table}\ndelete ${table}\n${renderFlows(spec) ?? ''}`)
  const { process } = await spawnDetached(plan.argv, { namespaceFd: namespace.fd })
  try {
    const { argv } = plan.tell.lost
    const sent = async () =>
      Number(/(\d+) Bytes sent/.exec((await run(argv, { namespaceFd: namespace.fd })).stdout)?.[1])
    expect(await until('it sends', async () => (await sent()) > 0)).toBe(true)
  } finally {
    process.signal('SIGTERM')
    await process.ended(2000)
    process.close()
  }
})
