import { expect, test } from 'vitest'
import { demandAll, demandNone, ownPrivileges, readPrivileges } from './privileges.ts'

const status = (uid: number, effective: string, ambient = '0') =>
  [
    'Name:\tnode',
    'Pid:\t77',
    `Uid:\t${String(uid)}\t${String(uid)}\t${String(uid)}\t${String(uid)}`,
    'Gid:\t5\t5\t5\t5',
    'CapInh:\t0000000000000000',
    `CapPrm:\t${effective.padStart(16, '0')}`,
    `CapEff:\t${effective.padStart(16, '0')}`,
    'CapBnd:\t000001ffffffffff',
    `CapAmb:\t${ambient.padStart(16, '0')}`,
  ].join('\n')

test('readPrivileges() names the capabilities of every set but the bounding one', () => {
  expect(readPrivileges(status(990, '0'))).toEqual({ pid: 77, uid: 990, gid: 5, capabilities: [] })
  expect(readPrivileges(status(990, '1000', '200000'))).toEqual({
    pid: 77,
    uid: 990,
    gid: 5,
    capabilities: ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'],
  })
  expect(readPrivileges(status(0, '1ffffffffff')).capabilities).toHaveLength(41)
  expect(readPrivileges(status(0, '10000000000')).capabilities).toEqual(['CAP_CHECKPOINT_RESTORE'])
})

test('ownPrivileges() is read from the kernel', () => {
  expect(ownPrivileges().uid).toBe(process.getuid?.())
})

test('demandNone() refuses an agent that is not root and has a capability', () => {
  expect(() => {
    demandNone({ uid: 990, capabilities: ['CAP_NET_RAW'] })
  }).toThrow('The agent runs as uid 990 and has CAP_NET_RAW')
  demandNone({ uid: 990, capabilities: [] })
  demandNone({ uid: 0, capabilities: ['CAP_NET_RAW'] })
})

test('demandAll() names what is missing', () => {
  const had = { capabilities: ['CAP_NET_ADMIN', 'CAP_CHOWN'] }
  demandAll(had, ['CAP_CHOWN'])
  expect(() => {
    demandAll(had, ['CAP_SYS_ADMIN', 'CAP_CHOWN', 'CAP_NET_RAW'])
  }).toThrow('keepward-host needs CAP_SYS_ADMIN, CAP_NET_RAW and has not')
})
