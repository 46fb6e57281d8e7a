import { afterAll, beforeAll, expect, test } from 'vitest'
import { innerNamespace } from '../../src/lab/topology.ts'
import { ip, labFor, type LabUnderTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

let it: LabUnderTest

beforeAll(async () => {
  it = await labFor('inner', { innerNetwork: true })
})
afterAll(async () => {
  await it.down()
})

/** Whether the client behind the router reaches an address beyond its link: the router's outer one, by way of its gateway. */
const reaches = (address: string): boolean => {
  try {
    ip('netns', 'exec', innerNamespace(it.name), 'ping', '-c1', '-W1', '-q', address)
    return true
  } catch {
    return false
  }
}
const both = () =>
  until('the client reaches the router through its gateway', () => reaches('198.51.100.1') && reaches('2001:db8:1::1'))

test('a client behind the router reaches it through its gateway, before and after a failover', async () => {
  const primary = await it.settled()
  await both()
  expect(it.addresses(primary, 'int0')).toEqual(['10.9.0.1/24', '2001:db8:9::1/64'])
  await it.lab.killHost(primary)
  await it.role(it.other(primary), 'primary')
  await both()
})
