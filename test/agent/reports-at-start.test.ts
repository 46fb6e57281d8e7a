import { expect, test } from 'vitest'
import { startReporting } from '../../src/agent/run.ts'
import { startSinks } from '../../src/agent/sinks.ts'
import { systemClock } from '../../src/base/instant.ts'
import { stateSubject } from '../../src/report/nats/layout.ts'
import { setUpNats } from '../../src/report/nats/setup.ts'
import { TestAgent } from '../support/agent.ts'
import { connectAs, NatsServer } from '../support/nats-server.ts'
import { natsSettings } from '../support/nats-sink.ts'
import { id, routerSpec } from '../support/router.ts'
import { until } from '../support/until.ts'

const r1 = routerSpec()
const r2 = routerSpec({ ...r1, id: id('r2'), namespace: 'keepward-r2', vrid: 8 })

test('startReporting() reports once the routers are known, and the fleet forgets none of them as an agent comes back', async () => {
  await using server = await NatsServer.start()
  await using operator = await connectAs(server.url)
  await setUpNats(operator, { replicas: undefined })
  // What an earlier life told.
  for (const router of ['gone', 'r1', 'r2']) await operator.request(stateSubject('host1', router), '{}')
  const removed: string[] = []
  operator.subscribe(stateSubject('host1', '*'), {
    callback: (_error, { headers, subject }) => {
      if (headers?.get('KV-Operation') === 'DEL') removed.push(subject)
    },
  })
  await operator.flush()

  await using store = new AsyncDisposableStack()
  let known: readonly string[] = []
  await using test = await TestAgent.start({
    routers: [r1, r2],
    begin: (agent) =>
      startReporting(agent, () => {
        known = agent.routers.queues.map((queue) => queue.id)
        const settings = [{ ...natsSettings([]), servers: [server.url], nkey: undefined, clientCertificate: undefined }]
        store.defer(startSinks({ settings, agent, vault: undefined, clock: systemClock }))
      }),
  })
  expect(known).toEqual(['r1', 'r2'])
  await until('what it does not run is removed', () => removed.length > 0)
  await until('it is current', () => (test.agent.status().sinks[0]?.delivered ?? 0) >= 2)
  expect(removed).toEqual(['$KV.keepward-state.host1.gone'])
  // Before the agent, whose journal they read.
  await store.disposeAsync()
})
