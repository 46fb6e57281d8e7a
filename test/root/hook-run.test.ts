import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeError } from '../../src/base/error.ts'
import { runConfined } from '../../src/linux/confined.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { openRootFile } from '../../src/linux/root-file.ts'
import { commandLine } from '../../src/linux/process.ts'
import { runHook, type HookPlace } from '../../src/reactions/hook.ts'
import type { News } from '../../src/router/hook.ts'
import type { Hook } from '../../src/router/spec.ts'
import { routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const uid = 60_231
let directory: string
let own: string

beforeAll(() => {
  directory = mkdtempSync('/run/kwt-hook-')
  chmodSync(directory, 0o711)
  own = join(directory, 'own')
  mkdirSync(own)
  chownSync(own, uid, uid)
})
afterAll(() => {
  // The shell that swaps files is killed; the command that it was just running ends a moment later.
  rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
})

const news: News = { role: 'primary', previous: 'backup', sequence: 42, atMs: 1_700_000_000_123, cause: 'kernel' }

function script(text: string, mode = 0o755): string {
  const path = join(directory, `hook${String(++count)}`)
  writeFileSync(path, `#!/bin/bash\n${text}\n`)
  chmodSync(path, mode)
  return path
}
let count = 0

function run(program: string, change: Partial<Hook> = {}, place: Partial<HookPlace> = {}): Promise<string> {
  const hook: Hook = {
    program,
    args: [],
    user: uid,
    on: ['primary'],
    timeoutMs: 10_000,
    namespace: 'host',
    ...change,
  }
  const { signal } = new AbortController()
  return runHook(hook, routerSpec(), news, {
    agent: 'host1',
    agentUid: 60_230,
    namespaceFd: undefined,
    signal,
    ...place,
  })
}

/** Processes with that word among their arguments. */
const withWord = (word: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandLine(Number(name))?.includes(word) === true)
    .map(Number)

test('a hook is a user without groups, capabilities, descriptors or a way to gain any of it', async () => {
  const said = join(own, 'status')
  const path = script(`cat /proc/self/status >${said}; for fd in /proc/$BASHPID/fd/*; do :; done
ls -l /proc/self/fd | grep -c /memfd >>${said}; ls /proc/self/fd | wc -l >>${said}; umask >>${said}; echo $$ >>${said}`)
  await run(path)
  const lines = readFileSync(said, 'utf8').trim().split('\n')
  const field = (name: string) =>
    lines
      .find((line) => line.startsWith(`${name}:`))
      ?.split('\t')
      .slice(1)
      .join(' ')
      .trim()
  expect(field('Uid')).toBe(`${String(uid)} `.repeat(4).trim())
  expect(field('Gid')).toBe(`${String(uid)} `.repeat(4).trim())
  expect(field('Groups')).toBe('')
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(field(set), set).toBe('0000000000000000')
  expect(field('NoNewPrivs')).toBe('1')
  // stdin and stderr (stdout leads to the file), the script itself, and what ls opens; umask; first process of its pid namespace.
  expect(lines.slice(-4)).toEqual(['2', '5', '0077', '1'])
})

test('a hook hears the event in a clean environment and on stdin, with its arguments as they are', async () => {
  process.env['KEEPWARD_TEST_SECRET'] = 'hidden'
  const said = await run(script('env | sort; cat; echo "$@"'), { args: ['--site', 'a'] })
  delete process.env['KEEPWARD_TEST_SECRET']
  const lines = said.split('\n').filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line))
  expect(lines).toEqual([
    'KEEPWARD_AGENT=host1',
    'KEEPWARD_CAUSE=kernel',
    expect.stringMatching(/^KEEPWARD_HOOK=\/run\/kwt-hook-.*\/hook\d+$/),
    'KEEPWARD_NAMESPACE=keepward-r1',
    'KEEPWARD_PREVIOUS_ROLE=backup',
    'KEEPWARD_ROLE=primary',
    'KEEPWARD_ROUTER=r1',
    'KEEPWARD_SEQUENCE=42',
    'KEEPWARD_TIME=2023-11-14T22:13:20.123Z',
    'LC_ALL=C',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
    '{"version":1,"agent":"host1","router":"r1","role":"primary","previousRole":"backup","sequence":42,"time":"2023-11-14T22:13:20.123Z","cause":"kernel","namespace":"keepward-r1"}',
    '--site a',
  ])
})

test('a hook sees the network of the host, or that of the router where it is told to', async () => {
  const name = `kwt-hook-${String(process.pid)}`
  execFileSync('ip', ['netns', 'add', name])
  try {
    using namespace = openNamespace(name)
    const path = script('readlink /proc/self/ns/net')
    expect(await run(path)).toBe(readlinkSync('/proc/self/ns/net'))
    expect(await run(path, {}, { namespaceFd: namespace.fd })).toBe(`net:[${String(namespace.inode)}]`)
  } finally {
    execFileSync('ip', ['netns', 'delete', name])
  }
})

test('a program that is no script is executed too', async () => {
  expect(await run('/usr/bin/id', { args: ['-u'] })).toBe(String(uid))
})

test('a hook runs however many files are open here', async () => {
  const open = Array.from({ length: 1100 }, () => openSync('/dev/null', 'r'))
  try {
    expect(await run(script('echo ran; ulimit -n'))).toBe('ran\n1024')
  } finally {
    for (const fd of open) closeSync(fd)
  }
})

test('a hook that hangs is killed in time, with all that it started, however detached', async () => {
  const mark = `600.${String(process.pid)}`
  const path =
    script(`setsid sleep ${mark} & (setsid setsid bash -c 'trap "" TERM HUP INT; sleep ${mark} & disown; sleep ${mark}' &)
trap '' TERM; sleep 0.2; echo started; sleep ${mark}`)
  const startedMs = performance.now()
  const ended = run(path, { timeoutMs: 700 })
  await until('they run', () => withWord(mark).length >= 3, 5000)
  await expect(ended).rejects.toMatchObject({
    code: 'hook-failed',
    message: 'it was killed after 700 ms; it said: started',
  })
  expect(withWord(mark)).toEqual([])
  expect(performance.now() - startedMs).toBeLessThan(5000)
})

test('what a hook leaves running ends with it', async () => {
  const mark = `601.${String(process.pid)}`
  await run(script(`setsid nohup sleep ${mark} >/dev/null 2>&1 & disown; sleep 0.1`))
  expect(withWord(mark)).toEqual([])
})

test('a hook that forks without end gets no further than its limit, and nothing of it is left', async () => {
  const mark = `602.${String(process.pid)}`
  const most = { now: 0 }
  const watching = setInterval(() => (most.now = Math.max(most.now, withWord(mark).length)), 100)
  try {
    await expect(
      run(script(`while :; do sleep ${mark} & done 2>/dev/null`), { timeoutMs: 2000 }),
    ).rejects.toMatchObject({ code: 'hook-failed' })
  } finally {
    clearInterval(watching)
  }
  expect(most.now).toBeGreaterThan(10)
  expect(most.now).toBeLessThanOrEqual(256)
  expect(withWord(mark)).toEqual([])
}, 20_000)

test('a hook that writes 100 MB costs no memory, and its writes fail', async () => {
  const before = process.memoryUsage().rss
  const failing = run(script('head -c 100000000 /dev/zero | tr "\\0" x'))
  await expect(failing).rejects.toMatchObject({ code: 'hook-failed' })
  await expect(failing).rejects.toThrow(
    /^it ended with exit code 1, and wanted to say more than 65536 bytes; it said: tr: /,
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(60e6)
})

test('a hook that is aborted is killed at once', async () => {
  const mark = `603.${String(process.pid)}`
  const abort = new AbortController()
  const ended = run(script(`sleep ${mark}`), {}, { signal: abort.signal })
  await until('it runs', () => withWord(mark).length > 0)
  abort.abort()
  await expect(ended).rejects.toMatchObject({
    code: 'hook-failed',
    message: expect.stringMatching(/SIGKILL/) as string,
  })
  expect(withWord(mark)).toEqual([])
})

test('a hook ends by its own exit code or signal, which is told', async () => {
  await expect(run(script('echo words; exit 3'))).rejects.toThrow('it ended with exit code 3; it said: words')
  await expect(run(script('kill -KILL $$; sleep 0.1; bash -c "kill -SEGV \\$\\$"; exit 4'))).rejects.toThrow(
    'exit code 4',
  )
})

test.each([
  [
    'another user owns',
    (path: string) => {
      chownSync(path, uid, 0)
    },
    /belongs|owner|uid 60231/,
  ],
  [
    'its group may write',
    (path: string) => {
      chmodSync(path, 0o775)
    },
    /mode/,
  ],
  [
    'all may write',
    (path: string) => {
      chmodSync(path, 0o757)
    },
    /mode/,
  ],
  [
    'is setuid',
    (path: string) => {
      chmodSync(path, 0o4755)
    },
    /its mode is 4755/,
  ],
  [
    'is setgid',
    (path: string) => {
      chmodSync(path, 0o2755)
    },
    /its mode is 2755/,
  ],
  [
    'nobody may execute',
    (path: string) => {
      chmodSync(path, 0o644)
    },
    /its mode is 644/,
  ],
  [
    'has another name',
    (path: string) => {
      linkSync(path, `${path}.other`)
    },
    /name/,
  ],
  [
    'is a link',
    (path: string) => {
      renameSync(path, `${path}.real`)
      symlinkSync(`${path}.real`, path)
    },
    /symlink|link/,
  ],
  [
    'is not there',
    (path: string) => {
      unlinkSync(path)
    },
    /./,
  ],
  [
    'is a directory',
    (path: string) => {
      unlinkSync(path)
      mkdirSync(path)
    },
    /./,
  ],
  [
    'has an interpreter that is not there',
    (path: string) => {
      writeFileSync(path, '#!/nowhere\n')
    },
    /Cannot start .*: execve: /,
  ],
  [
    'its user may not execute',
    (path: string) => {
      chmodSync(path, 0o700)
    },
    /Cannot start .*: execve: /,
  ],
] as const)('a program that %s is refused', async (_, spoil, why) => {
  const path = script('touch ' + join(own, 'ran'))
  spoil(path)
  const error = await run(path).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'hook-refused' })
  const text = describeError(error)
  expect(text).toMatch(why)
  // What the cause says is said once.
  const { cause } = error as Error
  if (cause instanceof Error) expect(text.split(cause.message)).toHaveLength(2)
  expect(existsSync(join(own, 'ran'))).toBe(false)
})

test('a program below a directory that others can change is refused', async () => {
  const open = join(directory, 'open')
  mkdirSync(open)
  const path = join(open, 'hook')
  writeFileSync(path, '#!/bin/sh\n', { mode: 0o755 })
  chownSync(open, uid, uid)
  await expect(run(path)).rejects.toMatchObject({ code: 'hook-refused' })
})

test.each([
  ['root', 0, /is root/],
  ['by a name of root', 'root', /is root/],
  ['nobody here', 'kwt-no-such-user', /no user kwt-no-such-user/],
  ['the agent', 60_230, /is the agent’s/],
])('a user who is %s is refused', async (_, user, why) => {
  await expect(run(script('true'), { user })).rejects.toMatchObject({
    code: 'hook-refused',
    message: expect.stringMatching(why) as string,
  })
})

test('a hook whose user has too many processes already is not refused for it', async () => {
  const path = script('true')
  // It waits for all that it started: what nobody has waited for counts too.
  const crowd = 'for n in $(seq 260); do sleep 60 & done; echo; read line; kill $(jobs -p); wait'
  const others = spawn('setpriv', ['--reuid', String(uid), '--clear-groups', 'bash', '-c', crowd], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = once(others, 'exit')
  try {
    await once(others.stdout, 'data')
    await expect(run(path)).rejects.toMatchObject({
      code: 'resources-exhausted',
      hint: expect.stringContaining('find out who has so many') as string,
    })
  } finally {
    others.stdin.end()
    await ended
  }
})

test('a hook is not refused where nobody can be asked for its user', async () => {
  // getent takes it for an option, and fails.
  await expect(run(script('true'), { user: '--nobody' })).rejects.toMatchObject({ code: 'command-failed' })
})

test('what was checked is what runs: a link put in its place before the start leads nowhere', async () => {
  const path = script(`echo good`)
  const evil = script(`touch ${join(own, 'evil')}`)
  const fd = openRootFile(path)
  try {
    renameSync(path, `${path}.away`)
    symlinkSync(evil, path)
    const { signal } = new AbortController()
    const options = { uid, gid: uid, timeoutMs: 5000, stdin: '', maxOutputBytes: 1000, env: {}, signal }
    expect(await runConfined(fd, [path], options)).toMatchObject({ exitCode: 0, stdout: 'good\n' })
  } finally {
    closeSync(fd)
  }
  expect(existsSync(join(own, 'evil'))).toBe(false)
})

test('a program that is exchanged for a link all the time is either the one that was checked, or refused', async () => {
  const path = script('echo good')
  const evil = join(own, 'evil-program')
  writeFileSync(evil, `#!/bin/bash\ntouch ${join(own, 'evil')}\n`, { mode: 0o755 })
  chownSync(evil, uid, uid)
  renameSync(path, `${path}.good`)
  const swap = execFileSync('/bin/sh', [
    '-c',
    `while :; do cp -p ${path}.good ${path}.1; mv ${path}.1 ${path}; ln -s ${evil} ${path}.2; mv ${path}.2 ${path}; done >/dev/null 2>&1 & echo $!`,
  ])
  const ends = { good: 0, refused: 0 }
  try {
    for (let n = 0; n < 150; n++) {
      const end = await run(path).catch((error: unknown) => (error as { code: string }).code)
      if (end === 'good') ends.good += 1
      else if (end === 'hook-refused') ends.refused += 1
      else throw new Error(`It ended with ${end}`)
    }
  } finally {
    process.kill(Number(String(swap)), 'SIGKILL')
  }
  expect(ends.refused).toBeGreaterThan(0)
  expect(ends.good).toBeGreaterThan(0)
  expect(existsSync(join(own, 'evil'))).toBe(false)
}, 60_000)
