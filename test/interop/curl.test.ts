import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { TestServer } from '../support/state-change.ts'

const run = promisify(execFile)

/** What curl makes of the answers: their statuses and bodies, and how many connections it opened. */
async function curl(path: string, ...words: readonly string[]): Promise<string> {
  const form = '%{http_code} %{num_connects}\n'
  const all = ['--silent', '--show-error', '--max-time', '5', '--unix-socket', path, '--write-out', form, ...words]
  return (await run('curl', all, { timeout: 10_000 })).stdout
}

const says = ['-H', 'X-Neutron-Router-Id: r1', '-H', 'x-neutron-state: master']

test('curl is answered, with and without a body, in chunks, over one connection', async () => {
  await using it = await TestServer.start()
  expect(await curl(it.path, ...says, 'http://localhost/')).toBe('200 1\n')
  expect(await curl(it.path, ...says, '-d', 'anything', 'http://localhost/a?b')).toBe('200 1\n')
  expect(await curl(it.path, ...says, '-H', 'Transfer-Encoding: chunked', '-d', 'x', 'http://localhost/')).toBe(
    '200 1\n',
  )
  expect(await curl(it.path, ...says, 'http://localhost/', 'http://localhost/')).toBe('200 1\n200 0\n')
  expect(it.listener.claims.map(({ router, state }) => `${router} ${state}`)).toEqual(Array(5).fill('r1 primary'))
})

test('curl gets problem details, and its connection ends', async () => {
  await using it = await TestServer.start()
  const refused = await curl(it.path, '-H', 'X-Neutron-Router-Id: r1', 'http://localhost/', 'http://localhost/')
  const problem =
    '{"type":"about:blank","title":"X-Neutron-Router-Id and X-Neutron-State are needed.","status":400,"code":"header-missing"}'
  expect(refused).toBe(`${problem}400 1\n${problem}400 1\n`)
})
