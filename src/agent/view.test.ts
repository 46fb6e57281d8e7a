import { expect, test } from 'vitest'
import { routerSpec } from '../../test/support/router.ts'
import type { LastRun, Reaction } from '../router/reaction.ts'
import { newRouter } from '../router/router.ts'
import { explainRouter } from './view.ts'

const now = { wallMs: 0, monoMs: 0 }
const ran: LastRun = { stance: 'primary', failure: undefined, endedAt: now, tookMs: 12, tries: 0, notBeforeMonoMs: 0 }
const failed: LastRun = { ...ran, failure: { code: 'reaction-failed', text: 'radvd says no' } }

function follows(reaction: Reaction): string | undefined {
  const wanted = routerSpec()
  const router = { ...newRouter(wanted.id, undefined, now), wanted }
  const reactions = { ...router.reactions, all: new Map([['radvd', reaction] as const]) }
  const { evidence } = explainRouter({ ...router, reactions }, 1000, now)
  return evidence.find(({ what }) => what === 'follows: radvd')?.found
}

test.each<readonly [Reaction, string]>([
  [{ is: 'primary', last: ran }, 'primary, took 12 ms'],
  [{ is: 'neither', last: failed }, 'failed as primary: radvd says no'],
  [{ is: 'backup', last: failed }, 'backup; failed as primary: radvd says no'],
  [{ is: 'neither', last: { ...ran, tries: 1, lastWords: 'out of memory' } }, 'died as primary: out of memory'],
  [{ is: 'neither', last: { ...ran, tries: 1, lastWords: '' } }, 'died as primary'],
  [{ is: 'neither', last: ran }, 'not as the config wants it, in any role'],
])('explainRouter() says of a service that is %j: %s', (reaction, text) => {
  expect(follows(reaction)).toBe(text)
})
