import type { Role } from '../../src/router/role.ts'
import type { Claim } from '../../src/statechange/receiver.ts'
import type { TestAgent } from './agent.ts'
import { id } from './router.ts'

/** What a Neutron monitor that runs as root says. */
export function claimOf(test: TestAgent, state: Role, change: Partial<Claim> = {}): Claim {
  return {
    router: id('r1'),
    state,
    sender: { pid: 812, uid: 0, gid: 0, groups: [] },
    controlGroup: '/system.slice/neutron-l3-agent.service',
    key: undefined,
    sequence: undefined,
    intervalMs: undefined,
    reason: 'root',
    count: 1,
    at: test.world.clock(),
    ...change,
  }
}
