import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signalAll } from '../../src/lab/processes.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { spawnDetached } from '../../src/linux/spawn-detached.ts'
import { labFor, program, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest
let pid: number | undefined
const namespace = `kwt-notify-${String(process.pid)}`
const ip = (...words: string[]) => execFileSync('ip', words, { timeout: 10_000 })

beforeAll(async () => {
  it = await labFor('nscript', { hosts: 1 })
  ip('netns', 'add', namespace)
})
afterAll(async () => {
  if (pid !== undefined) await signalAll([pid], 'SIGTERM')
  ip('netns', 'del', namespace)
  await it.down()
})

test('a keepalived that is not ours, with `keepward notify` as its notify script, tells each change of its router', async () => {
  ip('-n', namespace, 'link', 'add', 'ha0', 'type', 'veth', 'peer', 'name', 'ha1')
  for (const link of ['ha0', 'ha1']) ip('-n', namespace, 'link', 'set', link, 'up')
  ip('-n', namespace, 'address', 'add', '192.0.2.1/24', 'dev', 'ha0')
  const { directory } = it.lab.host('h1')
  const says = (state: string) =>
    `notify_${state} "${program} notify theirs ${state} --state ${join(directory, 'state')}"`
  await startKeepalived(
    join(directory, 'theirs'),
    `global_defs {
    enable_script_security
    script_user root
}
vrrp_instance VI_1 {
    interface ha0
    virtual_router_id 9
    version 3
    advert_int 0.2
    ${['master', 'backup', 'fault'].map(says).join('\n    ')}
    virtual_ipaddress {
        192.0.2.9/24
    }
}
`,
  )
  const claim = async () => (await it.status('h1')).claims.find(({ router }) => router === 'theirs')?.state
  await until('it said that it is primary', async () => (await claim()) === 'primary')
  ip('-n', namespace, 'link', 'set', 'ha0', 'down')
  await until('it said that it is at fault', async () => (await claim()) === 'fault')
  ip('-n', namespace, 'link', 'set', 'ha0', 'up')
  await until('it said that it is primary again', async () => (await claim()) === 'primary')
  const claims = (await it.events('h1')).filter(({ kind }) => kind === 'claim')
  expect(claims.every(({ body }) => body['decision'] === 'unmatched' && body['key'] === 'theirs')).toBe(true)
}, 60_000)

async function startKeepalived(directory: string, config: string): Promise<void> {
  mkdirSync(directory, { mode: 0o700 })
  const file = join(directory, 'keepalived.conf')
  writeFileSync(file, config, { mode: 0o600 })
  using space = openNamespace(namespace)
  const words = ['-n', '-P', '-f', file, '-p', join(directory, 'pid'), '-r', join(directory, 'vrrp.pid')]
  const started = await spawnDetached(['keepalived', ...words], { namespaceFd: space.fd })
  pid = started.process.pid
  started.process.close()
}
