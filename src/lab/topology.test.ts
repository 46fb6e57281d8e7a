import { describe, expect, test } from 'vitest'
import { formatPrefix } from '../base/address.ts'
import { loadConfig } from '../config/load.ts'
import { checkShape, configOf, gatewayOf, hostsOf, routersOf, type LabHost, type LabShape } from './topology.ts'

const shape = (change: Partial<LabShape> = {}): LabShape => ({
  name: 'lab',
  hosts: 3,
  routers: 6,
  advertisementInterval: '1s',
  vrrpVersion: 3,
  directory: '/run/keepward-lab/lab',
  ...change,
})

const loadOf = (given: LabShape, host: LabHost) => loadConfig(configOf(given, host), host.config, 'machine')
const load = (given: LabShape) => hostsOf(given).map((host) => loadOf(given, host))

describe('configOf()', () => {
  test('is a valid config with every router on every host', () => {
    const configs = load(shape())
    expect(configs.map(({ agent }) => agent.id)).toEqual(['lab-h1', 'lab-h2', 'lab-h3'])
    expect(configs.map(({ paths }) => paths.state)).toEqual([
      '/run/keepward-lab/lab/h1/state',
      '/run/keepward-lab/lab/h2/state',
      '/run/keepward-lab/lab/h3/state',
    ])
    for (const { routers } of configs) expect(routers.map(({ id }) => id)).toEqual(['r1', 'r2', 'r3', 'r4', 'r5', 'r6'])
  })

  test('spreads the preferred hosts', () => {
    const priorities = load(shape()).map(({ routers }) => routers.map(({ priority }) => priority))
    expect(priorities).toEqual([
      [250, 118, 184, 250, 118, 184],
      [184, 250, 118, 184, 250, 118],
      [118, 184, 250, 118, 184, 250],
    ])
  })

  test('gives each router its own link addresses and unicast peers', () => {
    const router = load(shape())[1]?.routers[3]
    expect(router?.vrid).toBe(4)
    expect(router?.namespace).toBe('kwl-lab-h2-r4')
    expect(router?.interfaces.map(({ addresses }) => addresses.map(formatPrefix))).toEqual([['169.254.193.4/18'], []])
    expect(router?.advertise).toEqual({
      kind: 'unicast',
      source: '169.254.193.4',
      peers: ['169.254.192.4', '169.254.194.4'],
    })
    expect(router?.virtualAddresses.map(formatPrefix)).toEqual([
      'fe80::b8c2:ac2:5efb:19a1/64',
      '198.51.100.4/24',
      '2001:db8:1::4/64',
    ])
  })

  test('makes each router a gateway of the inner network, where there is one', () => {
    const router = load(shape({ innerNetwork: true }))[1]?.routers[3]
    expect(router?.interfaces.map(({ name }) => name)).toEqual(['ha0', 'ext0', 'int0'])
    expect(router?.virtualAddresses.map(formatPrefix)).toEqual([
      'fe80::b8c2:ac2:5efb:19a1/64',
      'fe80::f89:7dc5:9aee:ecfa/64',
      '198.51.100.4/24',
      '2001:db8:1::4/64',
      '10.9.0.4/24',
      '2001:db8:9::4/64',
    ])
  })

  test.each([
    { hosts: 1, routers: 1 },
    { vrrpVersion: 2 as const, advertisementInterval: '2s' },
    { advertisementInterval: '100ms' },
  ])('is valid with %o', (change) => {
    const given = checkShape(shape(change))
    for (const { routers } of load(given)) expect(routers).toHaveLength(given.routers)
  })
})

test('configOf() is valid for the last host of the largest lab', () => {
  const largest = checkShape(shape({ hosts: 9, routers: 200 }))
  const config = hostsOf(largest)
    .slice(-1)
    .map((host) => loadOf(largest, host))[0]
  expect(config?.agent.id).toBe('lab-h9')
  expect(config?.routers).toHaveLength(200)
})

test('no router has the address of a client', () => {
  const outer = routersOf(shape({ routers: 200 })).flatMap(({ address, address6 }) => [address, address6])
  const inner = Array.from({ length: 200 }, (_, index) => gatewayOf(index + 1)).flatMap(({ v4, v6 }) => [v4, v6])
  const addresses = [...outer, ...inner]
  expect(new Set(addresses).size).toBe(800)
  for (const client of ['198.51.100.250', '2001:db8:1::fa', '10.9.0.250', '2001:db8:9::fa'])
    expect(addresses).not.toContain(client)
})

test.each([
  [{ name: 'Lab' }, "The lab's name is Lab, must be 1 to 16 lower-case letters and digits"],
  [{ name: '' }, "The lab's name is , must be 1 to 16 lower-case letters and digits"],
  [{ hosts: 10 }, '--hosts is 10, must be from 1 to 9'],
  [{ hosts: 1.5 }, '--hosts is 1.5, must be from 1 to 9'],
  [{ routers: 0 }, '--routers is 0, must be from 1 to 200'],
  [{ routers: 201 }, '--routers is 201, must be from 1 to 200'],
])('checkShape() refuses %o', (change, message) => {
  expect(() => checkShape(shape(change))).toThrow(message)
})
