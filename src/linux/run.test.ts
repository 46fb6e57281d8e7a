import { spawn } from 'node:child_process'
import { chmodSync, closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { getEventListeners, once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import { childrenOf, findByArgument, openProcess, processStat } from './process.ts'
import { CommandError, run } from './run.ts'
import { spawnDetached } from './spawn-detached.ts'

const node = process.execPath
const failure = (promise: Promise<unknown>): Promise<KeepwardError> =>
  promise.then(
    () => {
      throw new Error('did not fail')
    },
    (error: unknown) => {
      if (error instanceof KeepwardError) return error
      throw error
    },
  )

describe('run()', () => {
  test('hands arguments over as they are, in a clean environment', async () => {
    const code = 'console.log(JSON.stringify([process.argv.slice(1), process.env, process.cwd()]))'
    const { stdout, exitCode } = await run([node, '-e', code, '$HOME; `id`', '*'], { env: { TMPDIR: '/x' } })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toEqual([
      ['$HOME; `id`', '*'],
      { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TMPDIR: '/x' },
      '/',
    ])
  })

  test('writes stdin, and does not mind a command that leaves it unread', async () => {
    expect((await run(['cat'], { stdin: 'text' })).stdout).toBe('text')
    expect((await run(['true'], { stdin: 'x'.repeat(1_000_000) })).exitCode).toBe(0)
  })

  test('says argv, exit code and output when the command fails', async () => {
    const error = await failure(run([node, '-e', 'console.error("no such thing"); process.exit(3)']))
    expect(error.code).toBe('command-failed')
    expect(error.cause).toBeInstanceOf(CommandError)
    expect(error.cause).toMatchObject({
      exitCode: 3,
      stderr: 'no such thing\n',
      message: 'exit code 3; it said: no such thing',
    })
  })

  test('takes an exit code that was announced as an answer', async () => {
    expect((await run(['false'], { exitCodes: [0, 1] })).exitCode).toBe(1)
  })

  test('names a program that is not installed', async () => {
    const error = await failure(run(['kwt-no-such-program']))
    expect([error.code, error.message]).toEqual(['command-missing', 'The program kwt-no-such-program is not installed'])
  })

  test('kills the command and what it started when time is up', async () => {
    const word = `98765.${process.pid}`
    const code = `require('child_process').spawn('sleep', ['${word}'], {stdio: 'inherit'})`
    const error = await failure(run([node, '-e', `${code}; setInterval(() => {}, 1e6)`], { timeoutMs: 300 }))
    expect(error.code).toBe('command-timeout')
    await expect.poll(() => findByArgument(word, 'sleep')).toEqual([])
  })

  test('lets go of the signal, however it ends', async () => {
    const { signal } = new AbortController()
    const heard = () => getEventListeners(signal, 'abort').length
    await run(['true'], { signal })
    await failure(run(['false'], { signal }))
    const addon = native()
    const pidfdWait = addon.pidfdWait.bind(addon)
    addon.pidfdWait = (pidfd) => {
      pidfdWait(pidfd)
      closeSync(pidfd)
      throw new Error('nobody knows how it ended')
    }
    try {
      expect((await failure(run(['true'], { signal }))).message).toBe('Cannot wait for the end of a command')
    } finally {
      addon.pidfdWait = pidfdWait
    }
    expect(heard()).toBe(0)
  })

  test('kills a command that says more than it may', async () => {
    const error = await failure(run(['yes'], { maxOutputBytes: 100_000 }))
    expect([error.code, error.message]).toEqual(['command-failed', 'yes said more than it may'])
  })

  test('fails when the command says more than it may and ends well', async () => {
    const error = await failure(run(['head', '-c', '1001', '/dev/zero'], { maxOutputBytes: 1000 }))
    expect(error.message).toBe('head -c 1001 /dev/zero said more than it may')
    expect((await run(['head', '-c', '1000', '/dev/zero'], { maxOutputBytes: 1000 })).stdout).toHaveLength(1000)
  })

  test('says which signal ended the command', async () => {
    const error = await failure(run(['sh', '-c', 'kill -TERM $$']))
    expect(error.cause).toMatchObject({
      exitCode: undefined,
      signal: 'SIGTERM',
      message: 'signal SIGTERM; it said: nothing',
    })
  })

  test('says that a file is there and may not be executed, and that it is no program', async () => {
    const directory = mkdtempSync('/tmp/kwt-run-')
    try {
      writeFileSync(`${directory}/plain`, 'echo no shell reads this', { mode: 0o600 })
      const path = { env: { PATH: `/nowhere:${directory}:/dev/null` } }
      const forbidden = await failure(run(['plain'], path))
      expect([forbidden.code, forbidden.message, forbidden.cause]).toEqual([
        'command-failed',
        'Cannot start plain',
        expect.objectContaining({ code: 'EACCES', syscall: 'execve' }),
      ])
      chmodSync(`${directory}/plain`, 0o700)
      expect((await failure(run(['plain'], path))).cause).toMatchObject({ code: 'ENOEXEC' })
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('runs 200 at once, beside the children of others, and leaves no zombie', async () => {
    const other = spawn('sh', ['-c', 'sleep 0.2; exit 7'])
    const ended = once(other, 'exit')
    const runs = Array.from({ length: 200 }, (_, at) => run(['cat'], { stdin: String(at) }))
    const missing = Array.from({ length: 50 }, () => failure(run(['kwt-no-such-program'])))
    expect((await Promise.all(runs)).map(({ stdout }) => Number(stdout))).toEqual(
      Array.from({ length: 200 }, (_, at) => at),
    )
    await Promise.all(missing)
    expect(await ended).toEqual([7, null])
    expect(zombies()).toEqual([])
  })

  test('hands over no descriptor, and leaves none behind', async () => {
    const before = readdirSync('/proc/self/fd').length
    const ours = openSync('/dev/null', 'r')
    try {
      // The fourth is that of the listing itself.
      expect((await run(['ls', '/proc/self/fd'])).stdout).toBe('0\n1\n2\n3\n')
    } finally {
      closeSync(ours)
    }
    await failure(run(['sleep', '60'], { timeoutMs: 20 }))
    await failure(run(['kwt-no-such-program'], { stdin: 'x' }))
    // Fewer when an earlier test’s were still being closed.
    await expect.poll(() => readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
    expect(zombies()).toEqual([])
  })

  test('gives every signal its default, blocked or ignored none', async () => {
    process.on('SIGUSR2', () => undefined)
    try {
      const { stdout } = await run(['grep', '-E', '^Sig(Blk|Ign)', '/proc/self/status'])
      expect(stdout).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n')
    } finally {
      process.removeAllListeners('SIGUSR2')
    }
  })
})

describe('spawnDetached()', () => {
  test('starts a process in a session of its own, with nothing of ours', async () => {
    const { process: started } = await spawnDetached([node, '-e', 'setInterval(() => {}, 1e6)'], {
      env: { TMPDIR: '/x' },
    })
    using handle = started
    try {
      const { stdout } = await run(['ps', '-o', 'sid=', '-p', String(handle.pid)])
      expect(Number(stdout)).toBe(handle.pid)
      expect(handle.identity()?.argv).toEqual([node, '-e', 'setInterval(() => {}, 1e6)'])
    } finally {
      handle.signal('SIGKILL')
    }
    expect(await handle.ended(5000)).toBe(true)
  })

  test('gives a handle that knows its identity at once', async () => {
    for (let round = 0; round < 50; round++) {
      const { process: started } = await spawnDetached(['sleep', '60'])
      using handle = started
      expect(handle.identity()?.argv).toEqual(['sleep', '60'])
      handle.signal('SIGKILL')
      await handle.ended(5000)
    }
  })

  test('leaves no zombie when it ends, also when its handle was closed before', async () => {
    const { process: handle } = await spawnDetached(['sleep', '60'])
    handle.close()
    expect(handle.alive()).toBe(false)
    using again = openProcess(handle.pid)
    expect(again?.alive()).toBe(true)
    again?.signal('SIGKILL')
    await expect.poll(() => again?.stat()).toBe(undefined)
    expect(zombies()).toEqual([])
  })

  test('says that its directory is not there', async () => {
    const error = await failure(spawnDetached(['true'], { cwd: '/kwt-nowhere' }))
    expect([error.code, error.cause]).toEqual(['command-failed', expect.objectContaining({ syscall: 'chdir' })])
  })

  test('names a program that is not installed', async () => {
    expect((await failure(spawnDetached(['kwt-no-such-program']))).code).toBe('command-missing')
  })
})

const zombies = (): number[] => childrenOf(process.pid).filter((pid) => processStat(pid)?.state === 'Z')
