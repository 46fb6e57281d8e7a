import { afterAll, beforeAll, expect, test } from 'vitest'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signalAll } from '../../src/lab/processes.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { spawnDetached } from '../../src/linux/spawn-detached.ts'
import { labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('byhand')
})
afterAll(async () => {
  await it.down()
})

/** As an operator, or the system before us, would write it: one node at a time is taken over. */
const config = `
global_defs {
    router_id by-hand
}
vrrp_instance VR_1 {
    state BACKUP
    interface ha0
    virtual_router_id 1
    priority 50
    version 3
    advert_int 0.2
    nopreempt
    garp_master_delay 1
    unicast_src_ip 169.254.193.1
    unicast_peer {
        169.254.192.1
    }
    virtual_ipaddress {
        169.254.0.1/24 dev ha0
    }
    virtual_ipaddress_excluded {
        198.51.100.1/24 dev ext0 no_track
        2001:db8:1::1/64 dev ext0 no_track
    }
}
`

test('a router of ours and a keepalived that was configured by hand elect one primary between them, both ways', async () => {
  await it.settled()
  // The second host is not ours any more: its agent and keepalived end, a hand-written one takes their place.
  await it.lab.killAgent('h2')
  await signalAll(it.lab.keepalivedPids('h2', 'r1').slice(0, 1), 'SIGTERM')
  await it.role('h1', 'primary')
  await startByHand()
  const theirs = () => it.addresses('h2', 'ext0').includes('198.51.100.1/24')
  await until('theirs runs', () => it.lab.keepalivedPids('h2', 'r1').length === 2)
  expect(theirs()).toBe(false)

  await it.lab.killKeepalived('h1', 'r1')
  await until('theirs has the address', theirs)
  await it.role('h1', 'backup')
  expect(it.addresses('h1', 'ext0')).toEqual([])

  await signalAll(it.lab.keepalivedPids('h2', 'r1').slice(0, 1), 'SIGTERM')
  await it.role('h1', 'primary')
  await it.noCondition('h1')
  expect(it.addresses('h1', 'ext0')).toEqual(['198.51.100.1/24', '2001:db8:1::1/64'])
})

async function startByHand(): Promise<void> {
  const directory = join(it.lab.host('h2').directory, 'by-hand')
  mkdirSync(directory, { mode: 0o700 })
  const file = join(directory, 'keepalived.conf')
  writeFileSync(file, config, { mode: 0o600 })
  using namespace = openNamespace(it.namespace('h2'))
  const pids = ['-p', join(directory, 'pid'), '-r', join(directory, 'vrrp.pid')]
  const started = await spawnDetached(['keepalived', '-n', '-P', '-f', file, ...pids], { namespaceFd: namespace.fd })
  started.process.close()
}
