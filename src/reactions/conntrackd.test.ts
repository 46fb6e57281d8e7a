import { expect, test } from 'vitest'
import { routerSpec } from '../../test/support/router.ts'
import type { RouterSpec } from '../router/spec.ts'
import { conntrackd } from './conntrackd.ts'

const plan = (stance: 'primary' | 'backup', connectionTracking: RouterSpec['connectionTracking']) =>
  conntrackd.plan(routerSpec({ connectionTracking }), stance, (name) => `/run/r1/${name}`)
const exchange = { source: '169.254.192.1', peer: '169.254.192.2', port: 3780 }

test('conntrackd runs in both stances alike, and is told which', () => {
  expect(plan('primary', undefined)).toBeUndefined()
  const [primary, backup] = [plan('primary', exchange), plan('backup', exchange)]
  expect(primary?.argv.join(' ')).toBe('conntrackd -C /run/r1/conntrackd.conf')
  expect(backup?.argv).toEqual(primary?.argv)
  expect(backup?.files).toEqual(primary?.files)
  expect(primary?.tell?.argv.join(' ')).toBe('conntrackd -C /run/r1/conntrackd.conf -B')
  expect(backup?.tell?.argv.join(' ')).toBe('conntrackd -C /run/r1/conntrackd.conf -n')
})

test('what conntrackd could not send is counted by its statistics', () => {
  const statistics = `UDP traffic (active device=ha0):
                  16 Bytes sent                   24 Bytes recv
                   2 Pckts sent                    3 Pckts recv
                   7 Error send                    1 Error recv
`
  const { lost } = plan('backup', exchange)?.tell ?? {}
  expect(lost?.argv.join(' ')).toBe('conntrackd -C /run/r1/conntrackd.conf -s')
  expect(lost?.count(statistics)).toBe(7)
  expect(lost?.count('UDP traffic (active device=ha0)')).toBeUndefined()
})

test('conntrackd.conf names both ends, one socket and one lock', () => {
  expect(plan('backup', exchange)?.files.get('conntrackd.conf')).toBe(`Sync {
  Mode NOTRACK {
    DisableInternalCache yes
    DisableExternalCache yes
  }
  UDP {
    IPv4_address 169.254.192.1
    IPv4_Destination_Address 169.254.192.2
    Port 3780
    Interface ha0
    SndSocketBuffer 2097152
    RcvSocketBuffer 2097152
    Checksum on
  }
}
General {
  Systemd off
  Syslog on
  LockFile /run/r1/conntrackd.lock
  UNIX {
    Path /run/r1/flows.sock
  }
  Scheduler {
    Type RR
    Priority 0
  }
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Kernelspace {
    Protocol Accept {
      TCP
      SCTP
    }
    Address Ignore {
      IPv4_address 127.0.0.0/8
      IPv6_address ::1
      IPv4_address 169.254.192.1
      IPv4_address 169.254.192.2
    }
    State Accept {
      ESTABLISHED CLOSED TIME_WAIT CLOSE_WAIT for TCP
    }
  }
}
`)
})

test('conntrackd.conf says IPv6 where the hosts do', () => {
  const text = plan('backup', { source: 'fe80::a:1', peer: 'fe80::a:2', port: 4000 })?.files.get('conntrackd.conf')
  expect(text).toContain('    IPv6_address fe80::a:1\n    IPv6_Destination_Address fe80::a:2\n    Port 4000\n')
  expect(text).toContain('      IPv6_address ::1\n      IPv6_address fe80::a:1\n      IPv6_address fe80::a:2\n')
})
