import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { unifiedMount } from '../../src/linux/control-group.ts'
import { openProcess } from '../../src/linux/process.ts'
import { notifyServiceManager } from '../../src/linux/sd-notify.ts'

const linux = new URL('../../src/linux', import.meta.url).pathname
const mount = unifiedMount(readFileSync('/proc/self/mountinfo', 'utf8'))
const group = `${mount ?? ''}/kwt-${process.pid}`

describe.skipIf(mount === undefined)('spawnDetached() from within a control group', () => {
  beforeEach(() => {
    mkdirSync(group)
  })
  afterEach(async () => {
    await expect.poll(() => readFileSync(`${group}/cgroup.procs`, 'utf8')).toBe('')
    rmdirSync(group)
    removeIfEmpty(`${mount ?? ''}/keepward-routers`)
  })

  test('a service of a router that is in it all the same is found so', async () => {
    const script = `
      import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
      import { SafeDir } from '${linux}/safe-dir.ts'
      import { Daemon } from '${linux}/../reactions/daemon.ts'
      writeFileSync('${group}/cgroup.procs', String(process.pid))
      const path = mkdtempSync('/run/kwt-tied-')
      const home = SafeDir.open(path)
      const plan = () => ({ files: new Map(), argv: ['sleep', '60'] })
      const service = { name: 'radvd', program: 'sleep', configName: '60', endSignal: 'SIGKILL', plan }
      const found = async () => {
        using daemon = new Daemon(service, () => undefined)
        return JSON.stringify(await daemon.look({}, home))
      }
      const daemon = new Daemon(service, () => undefined)
      const namespaceFd = openSync('/proc/self/ns/net')
      await daemon.take('primary', {}, { home, namespaceFd }, new AbortController().signal)
      const free = await found()
      writeFileSync('${group}/cgroup.procs', String(JSON.parse(readFileSync(path + '/radvd.json')).identity.pid))
      console.log(free, await found())
      await daemon.end(home)
      rmSync(path, { recursive: true })
      process.exit()`
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    expect(line).toBe('{"is":"both"} {"is":"both","tied":true}')
    await expect.poll(() => child.exitCode).toBe(0)
  })

  test('leaves it', async () => {
    const script = `
      import { spawnDetached } from '${linux}/spawn-detached.ts'
      import { writeFileSync } from 'node:fs'
      writeFileSync('${group}/cgroup.procs', String(process.pid))
      const { process: daemon, tied } = await spawnDetached(['sleep', '60'])
      console.log(daemon.pid, tied?.message)
      process.exit()`
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const pid = Number(line.split(' ')[0])
    using daemon = openProcess(pid)
    try {
      expect(line).toBe(`${pid} undefined`)
      expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')).toContain('0::/keepward-routers')
      await expect.poll(() => child.exitCode).toBe(0)
      expect(daemon?.alive()).toBe(true)
    } finally {
      daemon?.signal('SIGKILL')
      await daemon?.ended(5000)
    }
  })
})

/** It is shared: an agent's daemons may be in it. */
function removeIfEmpty(directory: string): void {
  if (readFileSync(`${directory}/cgroup.procs`, 'utf8') === '') rmdirSync(directory)
}

describe('notifyServiceManager()', () => {
  const receiver = `use Socket; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; my $n = $ARGV[0]; $n =~ s/^@/\\0/;
    bind(S, pack('S a*', AF_UNIX, $n)) or die $!; $| = 1; print "up\\n"; recv(S, my $m, 100, 0); print "$m\\n"`

  test('reaches a socket by path and by abstract name', async () => {
    const directory = mkdtempSync('/tmp/kwt-notify-')
    try {
      for (const socket of [`${directory}/notify`, `@kwt-notify-${process.pid}`]) {
        const child = spawn('perl', ['-e', receiver, socket], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
        expect((await lines.next()).value).toBe('up')
        expect(notifyServiceManager('READY=1', socket)).toBe(true)
        expect((await lines.next()).value).toBe('READY=1')
        await once(child, 'exit')
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
    expect(existsSync(directory)).toBe(false)
  })
})
