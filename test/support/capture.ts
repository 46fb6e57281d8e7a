import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { addressFromBytes } from '../../src/base/address.ts'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { openNamespace } from '../../src/linux/netns.ts'

/** What was seen of one frame. */
export interface Frame {
  readonly atMs: number
  /** Hardware address of its sender. */
  readonly from: string
  readonly to: string
  /** What it is, in a word or two: `arp 198.51.100.1`, `neighbour-advertisement 2001:db8:1::1`. */
  readonly says: string
}

export interface Capture extends Disposable {
  /** In the order of arrival; it grows. */
  readonly frames: readonly Frame[]
}

/**
 * Sees every frame that comes in by an interface of a namespace, or with `outgoing` that leaves by it, from the moment on
 * that this resolves.
 */
export async function capture(
  namespaceName: string,
  device: string,
  direction: 'incoming' | 'outgoing' = 'incoming',
): Promise<Capture> {
  using namespace = openNamespace(namespaceName)
  const child = inNamespace(namespace.fd, () =>
    spawn('perl', ['-e', listener, device, direction], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  const frames: Frame[] = []
  const ready = Promise.withResolvers<undefined>()
  child.on('exit', () => {
    ready.reject(new Error(`Nothing listens on ${device} of ${namespaceName}`))
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line === 'ready') ready.resolve(undefined)
    else frames.push(readFrame(Buffer.from(line, 'hex'), Date.now()))
  })
  await ready.promise
  return {
    frames,
    [Symbol.dispose]: () => {
      child.kill('SIGKILL')
    },
  }
}

/** packet(7), as in `vrrp-forger.ts`; 0x8933 is SIOCGIFINDEX. A frame that leaves is of the packet type 4. */
const listener = `
  my ($device, $direction) = @ARGV;
  $| = 1;
  socket(my $link, 17, 3, unpack 'n', pack 'S', 3) or die "socket: $!";
  # SO_RCVBUFFORCE: what comes in a burst must not be lost here.
  setsockopt($link, 1, 33, pack 'i', 1 << 24) or die "setsockopt: $!";
  ioctl($link, 0x8933, my $request = pack 'a16 i x20', $device, 0) or die "$device: $!";
  my $index = unpack 'x16 i', $request;
  bind($link, pack 'S n i S C C a8', 17, 3, $index, 0, 0, 0, '') or die "bind: $!";
  print "ready\\n";
  while (defined(my $from = recv $link, my $frame, 2048, 0)) {
    my $left = (unpack 'S n i S C', $from)[4] == 4;
    print unpack('H*', $frame), "\\n" if $left == ($direction eq 'outgoing');
  }
`

function readFrame(frame: Buffer, atMs: number): Frame {
  return {
    atMs,
    to: macText(frame, 0),
    from: macText(frame, 6),
    says: sayOf(frame.readUInt16BE(12), frame.subarray(14)),
  }
}

function sayOf(type: number, packet: Buffer): string {
  if (type === 0x0806) return arp(packet)
  if (type === 0x86dd) return six(packet)
  return type === 0x0800 ? `ipv4 ${String(packet[9])} from ${ip4(packet, 12)}` : `type ${type.toString(16)}`
}

/** RFC 826; RFC 5227: an announcement asks, or answers, for the sender's own address. */
function arp(packet: Buffer): string {
  const [sender, target] = [ip4(packet, 14), ip4(packet, 24)]
  if (sender === target) return `arp-announcement ${sender}`
  return packet.readUInt16BE(6) === 1 ? `arp-request ${target} from ${sender}` : `arp-reply ${sender}`
}

/** RFC 8200; of extension headers only hop-by-hop options, which MLD has. RFC 4443, 4861, 2710, 3810. */
function six(packet: Buffer): string {
  const hops = packet[6] === 0
  const protocol = hops ? packet[40] : packet[6]
  const body = packet.subarray(hops ? 48 + 8 * (packet[41] ?? 0) : 40)
  const source = ip6(packet, 8)
  if (protocol !== 58) return `ipv6 ${String(protocol)} from ${source}`
  const what = icmp6.get(body[0] ?? 0) ?? `icmpv6 ${String(body[0])}`
  if (what === 'neighbour-advertisement') {
    const solicited = ((body[4] ?? 0) & 0x40) !== 0
    return `${what} ${ip6(body, 8)}${solicited ? ' solicited' : ''}`
  }
  if (what === 'neighbour-solicitation') return `${what} ${ip6(body, 8)} from ${source}`
  return `${what} from ${source}`
}

const icmp6: ReadonlyMap<number, string> = new Map([
  [128, 'echo-request'],
  [129, 'echo-reply'],
  [130, 'mld-query'],
  [131, 'mld-report'],
  [132, 'mld-done'],
  [133, 'router-solicitation'],
  [134, 'router-advertisement'],
  [135, 'neighbour-solicitation'],
  [136, 'neighbour-advertisement'],
  [143, 'mld-report'],
])

const ip4 = (packet: Buffer, at: number): string => addressFromBytes(packet.subarray(at, at + 4))
const ip6 = (packet: Buffer, at: number): string => addressFromBytes(packet.subarray(at, at + 16))
const macText = (frame: Buffer, at: number): string =>
  [...frame.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
