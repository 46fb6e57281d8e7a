import { execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { identitiesDirectory } from '../../src/host/identity.ts'
import { downLab, labsDirectory } from '../../src/lab/lab.ts'
import { isAgent, processesIn, signalAll } from '../../src/lab/processes.ts'
import { fabricNamespace, prefixOf } from '../../src/lab/topology.ts'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { deleteNamespace, listNamespaces, openNamespace } from '../../src/linux/netns.ts'
import { ip, labFor, nameFor, program, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const execute = promisify(execFile)

describe('an agent', () => {
  let it: LabUnderTest

  beforeAll(async () => {
    it = await labFor('life')
  })
  afterAll(async () => {
    await it.down()
  })

  test('a second agent on one state directory refuses, names the first, and touches nothing', async () => {
    const primary = await it.settled()
    const pid = it.lab.agentPid(primary)
    using watch = it.watch(it.namespace('h1'), it.namespace('h2'))
    const { code, stderr } = await runIn(it, primary, ['agent'])
    expect(code).not.toBe(0)
    expect(stderr).toBe(
      `keepward: Another process (pid ${String(pid)}) uses ${it.lab.host(primary).directory}/state` +
        ' (only one process may use it; give the other one a directory of its own) [state-in-use]\n',
    )
    expect(it.lab.agentPid(primary)).toBe(pid)
    expect(await it.settled()).toBe(primary)
    expect(watch.seen).toEqual([])
  })

  test('SIGTERM ends the agent and leaves keepalived and its addresses alone; the next one adopts it', async () => {
    const primary = await it.settled()
    const pids = it.lab.keepalivedPids(primary, 'r1')
    using watch = it.watch(it.namespace(primary))
    await signalAll([it.lab.agentPid(primary)], 'SIGTERM')
    expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
    expect(it.log(primary)).toContain('keepalived runs on')
    it.lab.startAgent(primary)
    await it.answers(primary)
    expect(await it.settled()).toBe(primary)
    expect(it.lab.keepalivedPids(primary, 'r1')).toEqual(pids)
    expect(watch.seen).toEqual([])
  })

  test('--teardown removes everything that the agent made, and the other host takes over', async () => {
    const primary = await it.settled()
    const heir = it.other(primary)
    await signalAll([it.lab.agentPid(primary)], 'SIGTERM')
    const { code } = await runIn(it, primary, ['agent', '--teardown'])
    expect(code).toBe(0)
    await it.role(heir, 'primary')
    const { namespace, directory } = it.lab.host(primary)
    expect(listNamespaces()).not.toContain(it.namespace(primary))
    expect(processesIn([namespace])).toEqual([])
    expect(() => it.lab.keepalivedPids(primary, 'r1')).toThrow('No keepalived')
    expect(existsSync(join(directory, 'run/routers/r1'))).toBe(false)
    const links = JSON.parse(ip('-n', namespace, '-j', 'link')) as { ifname: string }[]
    expect(links.map(({ ifname }) => ifname).sort()).toEqual(['br-ext', 'br-ha', 'lo', 'up-ext', 'up-ha'])
  })
})

describe('keepward lab', () => {
  const name = nameFor('ruin')
  const directory = join(labsDirectory, name)

  afterEach(async () => {
    await downLab(name, directory)
  })

  test('lab down leaves nothing behind when `lab up` was killed with -9 midway', async () => {
    const up = spawn(program, ['lab', '--name', name, 'up', '--hosts', '3', '--routers', '3'], { stdio: 'ignore' })
    const ended = new Promise((resolve) => up.once('exit', resolve))
    await until('the lab is half built', () => listNamespaces().includes(`${prefixOf(name)}h1`))
    up.kill('SIGKILL')
    await ended
    await leavesNothing()
  })

  test('lab down leaves nothing behind while agents and keepalived run', async () => {
    await execute(program, ['lab', '--name', name, 'up', '--hosts', '2', '--routers', '2', '--advert', '200ms'])
    const keepalived = `${prefixOf(name)}h1-r1`
    await until('keepalived runs', () => listNamespaces().includes(keepalived) && processesIn([keepalived]).length > 1)
    await leavesNothing()
  })

  test('lab down leaves nothing behind of what its processes start as they are ended', async () => {
    await execute(program, ['lab', '--name', name, 'up', '--hosts', '1', '--routers', '1', '--advert', '200ms'])
    using namespace = openNamespace(`${prefixOf(name)}h1`)
    const script = 'for n in $(seq 500); do sh -c "sleep 20; :" $0 & sleep 0.005; done'
    const starts = inNamespace(namespace.fd, () => spawn('sh', ['-c', script, directory], { stdio: 'ignore' }))
    const ended = new Promise((resolve) => starts.once('exit', resolve))
    await leavesNothing()
    await ended
  })

  test('lab down leaves nothing behind when names of its namespaces were removed under it', async () => {
    await execute(program, ['lab', '--name', name, 'up', '--hosts', '1', '--routers', '1', '--advert', '200ms'])
    const keepalived = `${prefixOf(name)}h1-r1`
    await until('keepalived runs', () => listNamespaces().includes(keepalived) && processesIn([keepalived]).length > 1)
    await deleteNamespace(`${prefixOf(name)}h1`)
    await deleteNamespace(keepalived)
    await leavesNothing()
  })

  test('lab start-agent mends no link that was cut', async () => {
    const lab = (...words: string[]) => execute(program, ['lab', '--name', name, ...words])
    await lab('up', '--hosts', '1', '--routers', '1', '--advert', '200ms')
    await lab('cut', 'h1')
    await lab('kill-agent', 'h1')
    await lab('start-agent', 'h1')
    // A child of the agent bears its name until it has become another program.
    await until('one agent runs', () => processesIn([`${prefixOf(name)}h1`]).filter(isAgent).length === 1)
    const [port] = JSON.parse(ip('-n', fabricNamespace(name), '-j', 'link', 'show', 'ha-h1')) as { flags: string[] }[]
    expect(port?.flags).not.toContain('UP')
  })

  async function leavesNothing(): Promise<void> {
    await execute(program, ['lab', '--name', name, 'down'])
    expect(listNamespaces().filter((one) => one.startsWith(prefixOf(name)))).toEqual([])
    expect(listNamespaces()).not.toContain(fabricNamespace(name))
    expect(existsSync(directory)).toBe(false)
    expect(readdirSync(identitiesDirectory).filter((one) => one.startsWith(`${name}-`))).toEqual([])
    const { stdout } = await execute('pgrep', ['-f', directory]).catch(() => ({ stdout: '' }))
    expect(stdout).toBe('')
  }
})

/** Run keepward in the namespace of a host, with its config. */
async function runIn(it: LabUnderTest, host: string, words: string[]): Promise<{ code: number; stderr: string }> {
  const { namespace: name, config } = it.lab.host(host)
  using namespace = openNamespace(name)
  const child = inNamespace(namespace.fd, () =>
    spawn(program, ['--config', config, ...words], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 }),
  )
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const code = await new Promise<number>((resolve) => {
    child.once('close', (status) => {
      resolve(status ?? -1)
    })
  })
  return { code, stderr }
}
