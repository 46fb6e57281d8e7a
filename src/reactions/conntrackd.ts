import { anyAddress, interfaceWord, pathWord, portWord } from '../base/words.ts'
import type { FlowExchange } from '../router/spec.ts'
import type { Service } from './service.ts'

const configName = 'conntrackd.conf'
/** Short: a socket's path has at most 107 bytes (unix(7)). */
const socketName = 'flows.sock'
const lockName = 'conntrackd.lock'

/**
 * Connection tracking by conntrackd (conntrackd.conf(5)) on every host at all times: what the kernel of the primary tracks is put straight
 * into the kernel of its peer, so that a takeover needs nobody. That flows go from the primary to the other alone, the packet filter sees to.
 */
export const conntrackd: Service = {
  name: 'conntrackd',
  program: 'conntrackd',
  configName,
  endSignal: 'SIGTERM',
  leaves: [lockName],
  plan({ connectionTracking: exchange, haInterface }, stance, pathOf) {
    if (exchange === undefined) return undefined
    const command = ['conntrackd', '-C', pathOf(configName)]
    return {
      files: new Map([[configName, renderConntrackd(exchange, haInterface, pathOf)]]),
      argv: command,
      // Whichever of the two changes its role last: the primary tells all flows that there are (-B), the other asks for them (-n).
      tell: {
        argv: [...command, stance === 'primary' ? '-B' : '-n'],
        // A request leaves in one datagram with flows of the same moment, and the filter takes both for flows.
        lost: { argv: [...command, '-s'], count: sendErrors },
      },
    }
  },
}

/**
 * The text of conntrackd.conf. NOTRACK and no caches: FTFW sends again what was lost, so that after a gap words of a time before the last
 * change of role would arrive; and what a cache holds of flows that end elsewhere is given out for true when the peer asks. So it is the
 * kernel's table that is told, always. TCP and SCTP that is established: all else is either short or made anew by its next packet.
 */
export function renderConntrackd(
  { source, peer, port }: FlowExchange,
  haInterface: string,
  pathOf: (name: string) => string,
): string {
  const lines = [
    'Sync {',
    '  Mode NOTRACK {',
    '    DisableInternalCache yes',
    '    DisableExternalCache yes',
    '  }',
    '  UDP {',
    `    ${familyName(source)}_address ${anyAddress(source, 'source')}`,
    `    ${familyName(source)}_Destination_Address ${anyAddress(peer, 'peer')}`,
    `    Port ${portWord(port, 'port')}`,
    `    Interface ${interfaceWord(haInterface, 'interface')}`,
    // A whole table comes in one burst.
    `    SndSocketBuffer ${String(bufferBytes)}`,
    `    RcvSocketBuffer ${String(bufferBytes)}`,
    '    Checksum on',
    '  }',
    '}',
    'General {',
    '  Systemd off',
    '  Syslog on',
    `  LockFile ${pathWord(pathOf(lockName), 'path')}`,
    '  UNIX {',
    `    Path ${pathWord(pathOf(socketName), 'path')}`,
    '  }',
    // Not above keepalived, as it would have it (SCHED_RR, 99): a priority that the kernel refuses leaves it at the usual one.
    '  Scheduler {',
    '    Type RR',
    '    Priority 0',
    '  }',
    `  NetlinkBufferSize ${String(bufferBytes)}`,
    `  NetlinkBufferSizeMaxGrowth ${String(4 * bufferBytes)}`,
    '  Filter From Kernelspace {',
    '    Protocol Accept {',
    '      TCP',
    '      SCTP',
    '    }',
    '    Address Ignore {',
    '      IPv4_address 127.0.0.0/8',
    '      IPv6_address ::1',
    `      ${familyName(source)}_address ${anyAddress(source, 'source')}`,
    `      ${familyName(source)}_address ${anyAddress(peer, 'peer')}`,
    '    }',
    '    State Accept {',
    '      ESTABLISHED CLOSED TIME_WAIT CLOSE_WAIT for TCP',
    '    }',
    '  }',
    '}',
  ]
  return `${lines.join('\n')}\n`
}

function sendErrors(statistics: string): number | undefined {
  const count = /(\d+) Error send/.exec(statistics)?.[1]
  return count === undefined ? undefined : Number(count)
}

const bufferBytes = 2_097_152

const familyName = (address: string): string => (address.includes(':') ? 'IPv6' : 'IPv4')
