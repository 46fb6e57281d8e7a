import { expect, test } from 'vitest'
import { loadConfig } from '../config/load.ts'
import type { ConfigFound } from './subject.ts'
import { inForceFinding, privilegesFinding, weakeningFindings } from './trust.ts'

const found = (text: string): ConfigFound => ({
  file: '/etc/keepward/agent.yaml',
  state: { kind: 'loaded', hash: 'abc' },
  settings: loadConfig(`version: 1\n${text}\nrouters: []\n`, 'agent.yaml', 'host-a'),
})

test('weakeningFindings() has a warning for each setting that weakens, with what to do', () => {
  expect(weakeningFindings(found('config: { applyChanges: true }\njournal: { retainDays: 7 }'))).toEqual([
    {
      name: 'journal.retainDays',
      status: 'warning',
      found: '7: who did what is forgotten sooner',
      wanted: '30 or more',
      fix: 'keep 30 days or more',
    },
    {
      name: 'config.applyChanges',
      status: 'warning',
      found: 'true: whatever comes to stand in the file runs a second later, although nobody looked at it',
      wanted: 'false',
      fix: 'leave it out, and run `keepward plan` and `keepward apply` after a change',
    },
  ])
})

test('weakeningFindings() has five places at most, and says how many there are more', () => {
  const senders = [1, 2, 3, 4, 5, 6, 7].map((uid) => `{ uid: ${String(uid)} }`).join(', ')
  const [finding] = weakeningFindings(found(`stateChange: { senders: [${senders}], openToAll: true }`)).slice(1)
  expect(finding?.found).toBe(
    'uid 1, uid 2, uid 3, uid 4, uid 5 and 2 more: the sender speaks for every router, those of later configs too',
  )
})

test('weakeningFindings() is empty for safe settings, and for a config that was not read', () => {
  expect(weakeningFindings(found(''))).toEqual([])
  const weak = found('config: { applyChanges: true }')
  expect(weakeningFindings({ ...weak, state: { kind: 'broken', reason: 'cut short' } })).toEqual([])
})

test.each([
  [undefined, 'ok', 'no agent answers this user'],
  ['abc', 'ok', 'the agent runs /etc/keepward/agent.yaml'],
  ['0123456789abcdef', 'warning', 'the agent runs another config, with the digest 0123456789ab'],
])('inForceFinding() with an agent that runs %s is %s', (running, status, says) => {
  expect(inForceFinding(found(''), running)).toMatchObject({
    status,
    found: expect.stringContaining(says) as string,
  })
})

test.each([
  [undefined, 'ok', 'no agent answers this user'],
  [{ uid: 990, capabilities: [] }, 'ok', 'uid 990, no capability'],
  [{ uid: 0, capabilities: ['CAP_CHOWN', 'CAP_KILL'] }, 'warning', 'uid 0, 2 capabilities'],
  [{ uid: 990, capabilities: ['CAP_KILL'] }, 'warning', 'uid 990, CAP_KILL'],
])('privilegesFinding() of %j is %s', (privileges, status, found) => {
  expect(privilegesFinding(privileges)).toMatchObject({ status, found })
})
