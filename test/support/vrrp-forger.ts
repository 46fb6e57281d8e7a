import { addressBytes } from '../../src/base/address.ts'
import { openNamespace } from '../../src/linux/netns.ts'
import { run } from '../../src/linux/run.ts'

/** An advert as an attacker writes it, with every header his own. */
export interface Forgery {
  readonly version: 2 | 3
  readonly vrid: number
  readonly source: string
  /** An address of the victim, or the VRRP group. */
  readonly destination: string
  /** Of the victim's interface; unset: what the group's address gives, or none on a loopback. */
  readonly destinationMac?: string
  readonly ttl: number
  /** The one address that the advert names. */
  readonly address: string
  /** In centiseconds (version 3) or seconds. */
  readonly interval: number
}

/** Send them from an interface of a namespace, all of them every 20 ms, so many times. */
export async function forge(
  namespaceName: string,
  device: string,
  times: number,
  forgeries: readonly Forgery[],
): Promise<void> {
  using namespace = openNamespace(namespaceName)
  const found = await run(['ip', '-j', 'link', 'show', 'dev', device], { namespaceFd: namespace.fd })
  const [link] = JSON.parse(found.stdout) as { ifindex: number }[]
  const stdin = forgeries.map((one) => `${frameOf(one).toString('hex')}\n`).join('')
  await run(['perl', '-e', sender, String(link?.ifindex), String(times)], { namespaceFd: namespace.fd, stdin })
}

/** packet(7): each line of stdin is a frame; perl is part of every Debian. */
const sender = `
  my ($index, $times) = @ARGV;
  my @frames = map { chomp; pack 'H*', $_ } <STDIN>;
  socket(my $link, 17, 3, 0) or die "socket: $!";
  for (1 .. $times) {
    for (@frames) {
      send($link, $_, 0, pack('S n i S C C a8', 17, 3, $index, 0, 0, 6, substr $_, 0, 6)) or die "send: $!";
    }
    select undef, undef, undef, 0.02;
  }
`

function frameOf(one: Forgery): Buffer {
  const [source, destination] = [addressBytes(one.source), addressBytes(one.destination)]
  const six = source.length === 16
  const advert = advertOf(one, source, destination)
  const packet = six
    ? Buffer.concat([Buffer.of(0x60, 0, 0, 0, 0, advert.length, 112, one.ttl), source, destination, advert])
    : Buffer.concat([ipv4Header(20 + advert.length, one.ttl, source, destination), advert])
  const type = six ? Buffer.of(0x86, 0xdd) : Buffer.of(0x08, 0x00)
  return Buffer.concat([macOf(one, six), Buffer.from('020000000066', 'hex'), type, packet])
}

/** RFC 9568, 5.1 and 5.2; RFC 3768, 5.3. Priority 255: who owns the addresses. */
function advertOf({ version, vrid, address, interval }: Forgery, source: Uint8Array, destination: Uint8Array): Buffer {
  const head = Buffer.of((version << 4) | 1, vrid, 255, 1, 0, interval, 0, 0)
  const tail = version === 2 ? Buffer.alloc(8) : Buffer.alloc(0)
  const advert = Buffer.concat([head, addressBytes(address), tail])
  const pseudo = version === 3 ? Buffer.concat([source, destination, pseudoTail(source.length, advert.length)]) : []
  advert.writeUInt16BE(checksum(Buffer.concat([Buffer.from(pseudo), advert])), 6)
  return advert
}

const pseudoTail = (addressLength: number, length: number): Buffer =>
  addressLength === 16 ? Buffer.of(0, 0, 0, length, 0, 0, 0, 112) : Buffer.of(0, 112, 0, length)

function ipv4Header(length: number, ttl: number, source: Uint8Array, destination: Uint8Array): Buffer {
  const header = Buffer.concat([Buffer.of(0x45, 0, 0, length, 0, 0, 0, 0, ttl, 112, 0, 0), source, destination])
  header.writeUInt16BE(checksum(header), 10)
  return header
}

function macOf({ destination, destinationMac }: Forgery, six: boolean): Buffer {
  if (destinationMac !== undefined) return Buffer.from(destinationMac.replaceAll(':', ''), 'hex')
  if (destination === '224.0.0.18') return Buffer.from('01005e000012', 'hex')
  return six && destination === 'ff02::12' ? Buffer.from('333300000012', 'hex') : Buffer.alloc(6)
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  return ~sum & 0xffff
}
