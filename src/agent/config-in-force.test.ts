import { expect, test } from 'vitest'
import { loadConfig } from '../config/load.ts'
import { ConfigInForce } from './config-in-force.ts'

const conditionsOf = (source: string) => {
  const text = `version: 1\nstateChange: { senders: [{ key: { id: fleet, ${source} }, routers: [r1] }] }\nrouters: []\n`
  const loaded = { config: loadConfig(text, 'agent.yaml', 'host-a'), hash: 'h', stamp: 's', signedBy: undefined }
  return new ConfigInForce(loaded).conditions()
}

test('a secret from the environment is a condition, one from elsewhere is none', () => {
  expect(conditionsOf('environment: KEEPWARD_FLEET')).toEqual([
    ['secret-in-environment', 'stateChange.senders[].key.environment: key fleet'],
  ])
  for (const source of ['file: /k', 'credential: k', 'command: [/usr/bin/k]']) expect(conditionsOf(source)).toEqual([])
})
