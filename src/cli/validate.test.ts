import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { validate } from './validate.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-validate-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** Exit status, and what was said. */
async function validated(stateChange: string): Promise<readonly [number, string]> {
  const config = join(directory, 'agent.yaml')
  writeFileSync(config, `version: 1\nagent: { id: a }\nstateChange: ${stateChange}\nrouters: []\n`)
  const said: unknown[] = []
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => said.push(text) > 0)
  }
  const status = await validate({ config, socket: undefined, json: false })
  return [status, said.join('').replaceAll(`${directory}/`, '')]
}

test('validate() finds the accounts of this host', async () => {
  expect(await validated('{ socketGroup: root, senders: [{ user: root }] }')).toEqual([
    0,
    'agent.yaml is valid: 0 routers\n',
  ])
})

test('validate() refuses an account that this host does not have, by the path of the setting', async () => {
  expect(await validated('{ socketGroup: kw-no-such-group, senders: [{ user: kw-no-such-user }] }')).toEqual([
    4,
    'agent.yaml:3:29 stateChange.socketGroup: is "kw-no-such-group", must be a group that this host has\n' +
      'agent.yaml:3:65 stateChange.senders[0].user: is "kw-no-such-user", must be a user that this host has\n',
  ])
})
