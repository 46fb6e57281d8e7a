import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { AgentConfig } from '../config/agent-config.ts'
import { sendDatagram } from '../linux/datagram.ts'

/** Where each anchor is copied to. */
export type SyslogTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'udp'; readonly address: string; readonly port: number }

/** The server goes before the socket. */
export function syslogTargetOf({ syslogServer, syslogSocket, syslogPort }: AgentConfig['audit']): SyslogTarget {
  if (syslogServer !== undefined) return { kind: 'udp', address: syslogServer, port: syslogPort }
  return syslogSocket === undefined ? { kind: 'none' } : { kind: 'socket', path: syslogSocket }
}

/** Facility authpriv (10), severity informational (6). */
const priority = 10 * 8 + 6

/** A message of RFC 5424, without structured data: what is signed stays one text, and reads the same in every collector. */
export function syslogText(host: string, wallMs: number, message: string): string {
  const printable = host.replaceAll(/[^\x21-\x7e]/g, '-').slice(0, 255)
  return `<${priority}>1 ${new Date(wallMs).toISOString()} ${printable || '-'} keepward ${process.pid} anchor - ${message}`
}

/** Send one datagram. Rejects with the system's error when this host cannot send it; nobody says whether it arrived. */
export async function sendSyslog(target: SyslogTarget, text: string): Promise<void> {
  if (target.kind === 'socket') sendDatagram(target.path, text)
  if (target.kind === 'udp') await sendUdp(target, text)
}

function sendUdp({ address, port }: Extract<SyslogTarget, { kind: 'udp' }>, text: string): Promise<void> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  socket.on('error', reject)
  socket.send(text, port, address, (error) => {
    if (error === null) resolve(undefined)
    else reject(error)
  })
  return promise.finally(() => socket.close())
}
