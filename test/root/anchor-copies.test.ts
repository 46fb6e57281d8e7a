import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildShim, FaultHost } from '../support/faults/host.ts'
import { until } from '../support/until.ts'

let directory = ''
let shim = ''
beforeAll(() => {
  directory = mkdtempSync('/tmp/kwcopies-')
  shim = buildShim(directory)
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

test.each(['one', 'two'] as const)(
  'anchors that cannot be copied to syslog show in the status of %s process(es), by their reason',
  async (kind) => {
    const host = FaultHost.make(kind, shim)
    try {
      appendFileSync(join(host.home, 'agent.yaml'), `audit: { syslogSocket: ${host.home}/no-log }\n`)
      await host.up()
      const said = await until('it shows', async () =>
        (await host.status()).conditions.find(({ code }) => code === 'anchors-not-copied'),
      )
      expect(said.text).toContain('ENOENT')
    } finally {
      await host.end()
    }
  },
)
