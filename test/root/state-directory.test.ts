import { execFile } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { program } from '../support/lab.ts'

/** Exit status and standard error of an agent that does not get far. */
function agentOn(home: string): Promise<readonly [number, string]> {
  const config = join(home, 'agent.yaml')
  const paths = `paths: { state: ${home}/state, run: ${home}/run }`
  writeFileSync(config, `version: 1\nagent: { id: kwt-${String(process.pid)} }\n${paths}\nrouters: []\n`)
  return new Promise((resolve) => {
    execFile(program, ['-c', config, 'agent'], { timeout: 20_000 }, (error, _stdout, stderr) => {
      resolve([error === null ? 0 : Number(error.code), stderr])
    })
  })
}

test('a state directory that Neutron owns is refused, with the way out, and left alone', async () => {
  const home = mkdtempSync(join(tmpdir(), 'kwt-state-'))
  try {
    mkdirSync(join(home, 'state'), { mode: 0o755 })
    chownSync(join(home, 'state'), 64_055, 64_055)
    const [status, said] = await agentOn(home)
    expect(status).toBe(4)
    expect(said).toContain(`Others can change ${home}/state: owner 64055`)
    expect(said).toContain('start Neutron’s monitors with --state_path of that directory')
    expect(statSync(join(home, 'state'))).toMatchObject({ uid: 64_055, gid: 64_055 })
    expect(existsSync(join(home, 'state', 'keepalived-state-change'))).toBe(false)
  } finally {
    rmSync(home, { recursive: true })
  }
})
