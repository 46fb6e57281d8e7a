import { execFile } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { program } from '../support/lab.ts'

const neutron = 64_055
const ownDirectory = 'give Keepward a directory of its own as paths.state'
const monitors = 'start Neutron’s monitors with --state_path of that directory'

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'kwt-state-'))
})
afterEach(() => {
  rmSync(home, { recursive: true })
})

/** Exit status and standard error of an agent that does not get far. */
function agentOn(state: string, stateChange = '{}'): Promise<readonly [number, string]> {
  const config = join(home, 'agent.yaml')
  const paths = `paths: { state: ${state}, run: ${home}/run }\nstateChange: ${stateChange}`
  writeFileSync(config, `version: 1\nagent: { id: kwt-${String(process.pid)} }\n${paths}\nrouters: []\n`)
  return new Promise((resolve) => {
    execFile(program, ['-c', config, 'agent'], { timeout: 20_000 }, (error, _stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stderr])
    })
  })
}

function make(path: string, uid: number, gid: number, mode: number): void {
  mkdirSync(path)
  chownSync(path, uid, gid)
  chmodSync(path, mode)
}

test.each([
  { what: 'that Neutron owns', uid: neutron, gid: neutron, mode: 0o755, says: 'owner 64055' },
  { what: 'of root that all may read', uid: 0, gid: 0, mode: 0o755, says: 'belongs to uid 0 with mode 0755' },
  { what: 'of root and Neutron’s group', uid: 0, gid: neutron, mode: 0o750, says: 'belongs to uid 0 with mode 0750' },
  { what: 'as Neutron’s package makes it', uid: 0, gid: neutron, mode: 0o755, says: 'belongs to uid 0 with mode 0755' },
  { what: 'that Neutron’s group can change', uid: 0, gid: neutron, mode: 0o770, says: 'Others can change' },
])('a state directory $what is refused, with the way out, and left alone', async ({ uid, gid, mode, says }) => {
  const state = join(home, 'state')
  make(state, uid, gid, mode)
  const [status, said] = await agentOn(state)
  expect(status).toBe(4)
  expect(said).toContain(says)
  expect(said).toContain(ownDirectory)
  expect(said).toContain(monitors)
  expect(said).not.toMatch(/chown|chmod|must belong/)
  expect(statSync(state)).toMatchObject({ uid, gid, mode: 0o40_000 | mode })
  expect(existsSync(join(state, 'keepalived-state-change'))).toBe(false)
})

test('of another user’s agent it is said that this is to be run as that user', async () => {
  const state = join(home, 'state')
  make(state, 64_321, 64_321, 0o700)
  writeFileSync(join(state, 'journal.sqlite'), '')
  const [status, said] = await agentOn(state)
  expect(status).toBe(4)
  expect(said).toContain('(it is the state of the agent of uid 64321: run this as that user)')
})

test.each([{ exists: false }, { exists: true }])(
  'a state directory below one of Neutron’s is refused, with the way out, when it is there: $exists',
  async ({ exists }) => {
    const parent = join(home, 'neutron')
    make(parent, neutron, neutron, 0o755)
    if (exists) {
      make(join(parent, 'keepward'), 0, 0, 0o700)
      writeFileSync(join(parent, 'keepward', 'journal.sqlite'), '')
    }
    const [status, said] = await agentOn(join(parent, 'keepward'))
    expect(status).toBe(4)
    expect(said).toContain(`Others can change ${parent}: owner 64055`)
    expect(said).toContain(ownDirectory)
    expect(said).not.toMatch(/chown|chmod|must belong/)
    expect(existsSync(join(parent, 'keepward'))).toBe(exists)
    expect(statSync(parent)).toMatchObject({ uid: neutron, gid: neutron })
  },
)

test('a state directory of ours whose mode somebody changed says which it must have', async () => {
  const state = join(home, 'state')
  make(state, 0, 0, 0o755)
  writeFileSync(join(state, 'journal.sqlite'), '')
  const [status, said] = await agentOn(state)
  expect(status).toBe(4)
  expect(said).toContain('chmod it to 0700')
})

test('a key file with another content is named, and its content is not', async () => {
  const key = join(home, 'fleet.key')
  writeFileSync(key, 'top secret\n', { mode: 0o600 })
  const [status, said] = await agentOn(join(home, 'state'), `{ senders: [{ key: { id: fleet, file: ${key} } }] }`)
  expect(status).toBe(4)
  expect(said).toContain(`Cannot use the key file ${key}: The key is not 64 hexadecimal digits and a newline`)
  expect(said).not.toContain('secret')
})
