import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { unifiedMount } from './control-group.ts'
import { unifiedGroup } from './process-group.ts'
import {
  adoptProcess,
  childrenOf,
  commandLine,
  findByArgument,
  openProcess,
  parseStat,
  processStat,
} from './process.ts'
import { notifyServiceManager, watchdogIntervalMs } from './sd-notify.ts'

const started: number[] = []
afterEach(() => {
  for (const pid of started.splice(0)) openProcess(pid)?.signal('SIGKILL')
})

/** A real process that waits to be ended; `word` is an argument that only it has. */
async function sleeper(word = 'none'): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6); console.log("up")', word])
  await once(child.stdout, 'data')
  if (child.pid === undefined) throw new Error('not started')
  started.push(child.pid)
  return child.pid
}

describe('parseStat()', () => {
  const tail = 'S 17 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3'
  test('reads a name that holds parentheses and spaces', () => {
    expect(parseStat(`42 (a) R 1 (b) ${tail}`)).toEqual({
      pid: 42,
      name: 'a) R 1 (b',
      state: 'S',
      parentPid: 17,
      startTicks: 98765,
    })
  })
  test.each(['', '42', '42 (a', '42 (a) S 17', `42 (a) S x ${tail}`])('is undefined for %j', (text) => {
    expect(parseStat(text)).toBe(undefined)
  })
})

describe('a process', () => {
  test('openProcess() is undefined when there is no process of that pid', () => {
    expect(openProcess(2 ** 22 + 1)).toBe(undefined)
    expect(processStat(2 ** 22 + 1)).toBe(undefined)
    expect(commandLine(2 ** 22 + 1)).toBe(undefined)
  })

  test('is found by an exact argument, not by a part of one', async () => {
    const word = `kwt-${process.pid}-word`
    const pid = await sleeper(word)
    const name = processStat(pid)?.name
    expect(findByArgument(word, name)).toEqual([pid])
    expect(findByArgument(word, 'kwt-other')).toEqual([])
    expect(findByArgument(word.slice(0, -1), name)).toEqual([])
    expect(childrenOf(process.pid)).toContain(pid)
  })

  test('tells its end once, and is not alive then', async () => {
    using handle = openProcess(await sleeper())
    let ends = 0
    handle?.onEnd(() => ends++)
    expect(handle?.alive()).toBe(true)
    expect(await handle?.ended(1)).toBe(false)
    handle?.signal('SIGKILL')
    expect(await handle?.ended(5000)).toBe(true)
    expect([ends, handle?.alive(), handle?.identity()]).toEqual([1, false, undefined])
    await expect.poll(() => handle?.signal('SIGKILL')).toBe(false)
  })

  test('does not tell its end to who took the wish back or closed', async () => {
    const pid = await sleeper()
    const [one, other] = [openProcess(pid), openProcess(pid)]
    let ends = 0
    one?.onEnd(() => ends++)()
    other?.onEnd(() => ends++)
    other?.close()
    one?.signal('SIGKILL')
    expect([await one?.ended(5000), ends]).toEqual([true, 0])
    one?.close()
  })

  test('close() tells who waits for its end what is so, heard of or not', async () => {
    const pid = await sleeper()
    const [one, other] = [openProcess(pid), openProcess(pid)]
    const waiting = one?.ended(60_000)
    one?.close()
    expect([await waiting, await one?.ended(60_000)]).toEqual([false, false])
    const told = other?.ended(60_000)
    other?.signal('SIGKILL')
    // No turn of the event loop: its end is not heard of yet.
    while (other?.alive() === true);
    other?.close()
    expect([await told, await other?.ended(60_000)]).toEqual([true, true])
  })

  test('adoptProcess() takes up the very process and no other', async () => {
    using handle = openProcess(await sleeper('adopt'))
    const identity = handle?.identity()
    if (identity === undefined) throw new Error('no identity')
    const stored: unknown = JSON.parse(JSON.stringify(identity))
    expect(stored).toEqual(identity)
    using adopted = adoptProcess(identity)
    expect(adopted?.pid).toBe(identity.pid)
    expect(adoptProcess({ ...identity, startTicks: identity.startTicks + 1 })).toBe(undefined)
    expect(adoptProcess({ ...identity, argv: [...identity.argv, 'x'] })).toBe(undefined)
    expect(adoptProcess({ ...identity, networkNamespace: 1 })).toBe(undefined)
    expect(adoptProcess({ ...identity, bootId: '0' })).toBe(undefined)
    handle?.signal('SIGKILL')
    await handle?.ended(5000)
    expect(adoptProcess(identity)).toBe(undefined)
  })

  test('says when it is stopped', async () => {
    using handle = openProcess(await sleeper())
    handle?.signal('SIGSTOP')
    await expect.poll(() => handle?.stat()?.state).toBe('T')
    expect(handle?.alive()).toBe(true)
  })
})

describe('control groups', () => {
  test('unifiedGroup() reads the cgroup v2 line, also of a mixed hierarchy', () => {
    expect(unifiedGroup('0::/system.slice/keepward.service\n')).toBe('/system.slice/keepward.service')
    expect(unifiedGroup('4:memory:/x\n1:name=systemd:/y\n0::/\n')).toBe('/')
    expect(unifiedGroup('4:memory:/x\n')).toBe(undefined)
  })
  test('unifiedMount() finds the mount point of cgroup2', () => {
    const mounts = [
      '22 1 0:21 / /proc rw,relatime shared:5 - proc proc rw',
      '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate',
    ]
    expect(unifiedMount(mounts.join('\n'))).toBe('/sys/fs/cgroup')
    expect(unifiedMount('22 1 0:21 / /proc/cgroup2 rw,relatime - proc cgroup2 rw')).toBe(undefined)
  })
})

describe('the service manager', () => {
  test('notifyServiceManager() is false when none is there', () => {
    expect(notifyServiceManager('READY=1', undefined)).toBe(false)
    expect(notifyServiceManager('READY=1', '/tmp/kwt-no-such-socket')).toBe(false)
    expect(notifyServiceManager('READY=1', 'relative')).toBe(false)
  })
  test('watchdogIntervalMs() is half of what is allowed', () => {
    expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000' })).toBe(15_000)
    expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' })).toBe(undefined)
    expect(watchdogIntervalMs({})).toBe(undefined)
  })
})
