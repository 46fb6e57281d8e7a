import { systemClock } from '../../src/base/instant.ts'
import { FakeHost } from '../../src/host/fake-host.ts'
import type { HostEvent } from '../../src/host/operation.ts'
import { hostContract } from '../support/host-contract.ts'
import { routerSpec } from '../support/router.ts'

hostContract('FakeHost', () => {
  const events: HostEvent[] = []
  const host = new FakeHost(systemClock, (event) => events.push(event))
  return Promise.resolve({ host, events, spec: routerSpec(), end: () => host.close() })
})
