import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { peerOf } from '../../src/linux/unix-socket.ts'
import { parseRouterId } from '../../src/router/spec.ts'
import { namesGroups, rightOf, type Policy } from '../../src/statechange/policy.ts'
import { rounded } from '../result.ts'
import { median } from '../statistics.ts'

const rounds = 15
const perRound = 10_000
const router = parseRouterId('r1')

/**
 * What it costs to ask the kernel who connected and the policy what he may say, in microseconds a connection: by the default policy,
 * and by one of a hundred rules that name groups, of which the last allows it.
 */
export async function measureIdentify(directory: string): Promise<{ defaultUs: number; groupsUs: number }> {
  const path = join(directory, 'identify')
  const server = createServer().listen(path)
  await once(server, 'listening')
  const client = connect(path)
  const [accepted] = (await once(server, 'connection')) as [Socket]
  try {
    const gid = process.getegid?.() ?? 0
    const others = Array.from({ length: 99 }, (_, index) => ruleOf(gid + 1 + index))
    return {
      defaultUs: costUs(accepted, { ownUid: 0, rules: [] }),
      // To a policy whose agent is another, and to root, root is trusted without a look at the rules: ask as somebody else.
      groupsUs: costUs(accepted, { ownUid: 1, rules: [...others, ruleOf(gid)] }, 2),
    }
  } finally {
    client.destroy()
    accepted.destroy()
    server.close()
  }
}

const ruleOf = (gid: number): Policy['rules'][number] => ({
  who: { kind: 'group', gid },
  routers: 'all',
  states: 'all',
})

/** `asUid`: judge the sender as if it were that user. */
function costUs(socket: Socket, policy: Policy, asUid?: number): number {
  if (router === undefined) throw new Error('r1 is a router id')
  const message = { router, state: 'primary', key: undefined } as const
  const round = () => {
    const startedMs = performance.now()
    for (let index = 0; index < perRound; index++) {
      const peer = peerOf(socket, namesGroups(policy) ? 'with-groups' : 'without-groups')
      const sender = asUid === undefined ? peer : { ...peer, uid: asUid }
      if (!rightOf(policy, sender, message)) throw new Error('the policy allows it')
    }
    return ((performance.now() - startedMs) / perRound) * 1000
  }
  return rounded(median(Array.from({ length: rounds }, round)))
}
