import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { openProcess, processStat } from '../../src/linux/process.ts'
import { until } from '../support/until.ts'

test('ended() and alive() see a process as ended that its parent never waits for', async () => {
  // The shell starts a child, says its pid, and becomes a program that waits for nobody.
  const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    using handle = openProcess(pid)
    if (handle === undefined) throw new Error('the child is gone')
    expect(handle.alive()).toBe(true)
    const before = handle.ended(2000)
    handle.signal('SIGKILL')
    expect(await before).toBe(true)
    await until('it is a zombie', () => processStat(pid)?.state === 'Z')
    expect(handle.alive()).toBe(false)
    expect(await handle.ended(2000)).toBe(true)
    using late = openProcess(pid)
    expect(late?.alive()).toBe(false)
    expect(await late?.ended(2000)).toBe(true)
  } finally {
    parent.kill('SIGKILL')
  }
})
