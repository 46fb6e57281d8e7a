import { describe, expect, test } from 'vitest'
import { KeepwardError } from '../base/error.ts'
import { findByArgument } from './process.ts'
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

  test('kills a command that says more than it may', async () => {
    const error = await failure(run(['yes'], { maxOutputBytes: 100_000 }))
    expect([error.code, error.message]).toEqual(['command-failed', 'yes said more than it may'])
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

  test('names a program that is not installed', async () => {
    expect((await failure(spawnDetached(['kwt-no-such-program']))).code).toBe('command-missing')
  })
})
