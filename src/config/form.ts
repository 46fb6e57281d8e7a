import { z } from 'zod'
import { canonicalAddress, parsePrefix, type Prefix } from '../base/address.ts'
import { parseRouterId, type RouterId } from '../router/spec.ts'
import { hostBitsAre, isMulticast, unusableKind } from './subnet.ts'

/**
 * The forms of single values. Every text that can reach keepalived.conf, an argument list, a path or a sysctl has a
 * form that leaves no room for white space, quotes, braces, `#`, `!`, `$`, `@`, `/` or a leading `-`.
 * Messages start at "must"; the caller puts "is ..." before them.
 */

export function wholeNumber(min: number, max: number) {
  const wanted = `must be a whole number from ${min} to ${max}`
  return z.int(wanted).min(min, wanted).max(max, wanted)
}

export const identifier = word(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  'must be 1 to 64 letters, digits, ".", "_" or "-" and start with a letter or digit',
)

export const routerId = judged(identifier, (value): Judged<RouterId> => {
  const id = parseRouterId(value)
  return id === undefined ? { wanted: 'must be a router id' } : { value: id }
})

/** IFNAMSIZ leaves 15 bytes; `all` and `default` are names of /proc/sys/net/ipv4/conf, the kernel refuses them. */
export const interfaceName = word(
  /^(?!(all|default)$)[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$/,
  'must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
)

export const namespaceName = word(
  /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
  'must be a namespace name: 1 to 128 letters, digits, ".", "_" or "-", not starting with "." or "-"',
)

export const userName = accountName('user')
export const groupName = accountName('group')

/** Also a file name for SafeDir. */
export const credentialName = word(
  /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/,
  'must be the name of a credential: 1 to 64 letters, digits, ".", "_", "@" or "-", not starting with "." or "-"',
)

export const variableName = word(
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
  'must be the name of an environment variable: letters, digits and "_", not starting with a digit',
)

/** A word of an argument list: no shell reads it, and it holds nothing that one would. */
export const commandWord = word(
  /^[A-Za-z0-9._+:=,@%/-]{1,200}$/,
  'must be 1 to 200 letters, digits, ".", "_", "+", ":", "=", ",", "@", "%", "/" and "-"',
)

/** A path within Vault, or the mount of an engine: no part of it is empty, `.` or `..`. */
export const vaultPath = text(
  /^(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,100}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.-]{1,100}){0,9}$/,
  'must be a path in Vault: up to 10 words of letters, digits, ".", "_" and "-" with "/" between them',
)

/** The name of a field or a role in Vault. */
export const vaultWord = word(/^[A-Za-z0-9_.-]{1,128}$/, 'must be 1 to 128 letters, digits, ".", "_" and "-"')

export const httpsAddress = text(
  /^https:\/\/([A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:]{2,39}\])(:[1-9][0-9]{0,4})?$/,
  'must be https:// with a host and a port, and nothing behind them, such as https://vault.example.net:8200',
)

const hostForm = String.raw`([A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:]{2,39}\])`

export const natsAddress = text(
  new RegExp(`^(tls|nats)://${hostForm}:[1-9][0-9]{0,4}$`),
  'must be tls:// with a host and a port, such as tls://nats.example.net:4222',
)

export const brokerAddress = text(
  new RegExp(`^amqps?://${hostForm}:[1-9][0-9]{0,4}$`),
  'must be amqps:// with a host and a port, such as amqps://rabbit.example.net:5671',
)

/** No user, no fragment: neither is sent. */
export const webAddress = text(
  new RegExp(`^https://${hostForm}(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1000})?$`),
  'must be https:// with a host and a path, such as https://hooks.example.net/keepward',
)

export const virtualHost = text(/^[A-Za-z0-9._/-]{1,255}$/, 'must be 1 to 255 letters, digits, ".", "_", "-" and "/"')

/** A name in AMQP (at most 255 bytes) or of a user there. */
export const wireWord = word(/^[A-Za-z0-9._-]{1,200}$/, 'must be 1 to 200 letters, digits, ".", "_" and "-"')

export const hostName = word(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/,
  'must be 1 to 255 letters, digits, ".", "_" and "-", the first a letter or a digit',
)

/** Absolute and normalized, so that two spellings never name one directory. */
export function absolutePath(maxLength: number) {
  const wanted = `must be an absolute path of at most ${maxLength} letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end`
  return text(/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)+$/, wanted).max(maxLength, wanted)
}

/** Six bytes of one station; the lowest bit of the first marks a group (IEEE 802). */
export const macAddress = text(
  /^(?!(00:){5}00$)[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$/,
  'must be the hardware address of one station, such as 02:00:00:00:00:01',
)

/** `1s`, `0.5s` or `100ms`; gives whole milliseconds from `minMs` to `maxMs`. */
export function duration(minMs: number, maxMs: number) {
  const wanted = `must be a duration from ${showDuration(minMs)} to ${showDuration(maxMs)}, such as 1s or 100ms`
  return judged(text(/^(0|[1-9][0-9]{0,6})(\.[0-9]{1,3})?(ms|s)$/, wanted), (value): Judged<number> => {
    const ms = value.endsWith('ms') ? Number(value.slice(0, -2)) : Math.round(Number(value.slice(0, -1)) * 1000)
    return Number.isInteger(ms) && ms >= minMs && ms <= maxMs ? { value: ms } : { wanted }
  })
}

export const showDuration = (ms: number): string => (ms < 1000 ? `${ms}ms` : `${ms / 1000}s`)

const hostAddressWanted = 'must be an IP address of one host without prefix length, such as 192.0.2.1 or 2001:db8::1'

export const hostAddress = judged(text(/^[0-9A-Fa-f.:]{2,45}$/, hostAddressWanted), (value): Judged<string> => {
  const address = canonicalAddress(value)
  if (address === undefined) return { wanted: hostAddressWanted }
  const kind = unusableKind(address)
  return kind === undefined ? { value: address } : { wanted: `${hostAddressWanted}; this is ${kind}` }
})

const groupOrHostWanted =
  'must be the IP address of the remote end or a multicast group, such as 192.0.2.2 or 239.1.1.1'

export const groupOrHostAddress = judged(text(/^[0-9A-Fa-f.:]{2,45}$/, groupOrHostWanted), (value): Judged<string> => {
  const address = canonicalAddress(value)
  if (address === undefined) return { wanted: groupOrHostWanted }
  const kind = isMulticast(address) ? undefined : unusableKind(address)
  return kind === undefined ? { value: address } : { wanted: `${groupOrHostWanted}; this is ${kind}` }
})

const prefixForm = /^[0-9A-Fa-f.:]{2,45}\/[0-9]{1,3}$/
const hostPrefixWanted = 'must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64'

export const hostPrefix = judged(text(prefixForm, hostPrefixWanted), (value): Judged<Prefix> => {
  const prefix = parsePrefix(value)
  if (prefix === undefined) return { wanted: hostPrefixWanted }
  const kind = unusableKind(prefix.address) ?? subnetKind(prefix)
  return kind === undefined ? { value: prefix } : { wanted: `${hostPrefixWanted}; this is ${kind}` }
})

const networkWanted = 'must be "default" or a network with its prefix length, such as 198.51.100.0/24 or 2001:db8::/32'

/** `default` has no family before the next hop is known: it stays a word. */
export const networkPrefix = judged(
  text(/^(default|[0-9A-Fa-f.:]{2,45}\/[0-9]{1,3})$/, networkWanted),
  (value): Judged<Prefix | 'default'> => {
    return value === 'default' ? { value } : judgeNetwork(value, networkWanted)
  },
)

const plainNetworkWanted = 'must be a network with its prefix length, such as 10.0.0.0/24 or 2001:db8::/32'

export const network = judged(text(prefixForm, plainNetworkWanted), (value) => judgeNetwork(value, plainNetworkWanted))

function judgeNetwork(value: string, wanted: string): Judged<Prefix> {
  const prefix = parsePrefix(value)
  if (prefix === undefined) return { wanted }
  if (!hostBitsAre(0, prefix)) return { wanted: `${wanted}; this one has bits set after its prefix` }
  const kind = prefix.prefixLength === 0 ? undefined : unusableKind(prefix.address)
  return kind === undefined ? { value: prefix } : { wanted: `${wanted}; this is ${kind}` }
}

const anyNetworkWanted =
  'must be a network with its prefix length, not the whole of a family, such as 10.0.0.0/24 or fd00:db8::/32'

/** Where a program may be that is spoken to: on this host too. */
export const reachableNetwork = judged(text(prefixForm, anyNetworkWanted), (value): Judged<Prefix> => {
  const prefix = parsePrefix(value)
  if (prefix === undefined || prefix.prefixLength === 0 || !hostBitsAre(0, prefix)) return { wanted: anyNetworkWanted }
  return { value: prefix }
})

const ipv6NetworkWanted = 'must be an IPv6 network with its prefix length, such as 2001:db8:1::/64'

export const ipv6Network = judged(text(prefixForm, ipv6NetworkWanted), (value): Judged<Prefix> => {
  const prefix = parsePrefix(value)
  if (prefix?.family !== 6 || prefix.prefixLength === 0) return { wanted: ipv6NetworkWanted }
  if (!hostBitsAre(0, prefix)) return { wanted: `${ipv6NetworkWanted}; this one has bits set after its prefix` }
  const kind = unusableKind(prefix.address)
  return kind === undefined ? { value: prefix } : { wanted: `${ipv6NetworkWanted}; this is ${kind}` }
})

/** RFC 1035, 2.3.1, without a dot at the end. */
export const domainName = text(
  /^(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/,
  'must be a domain name, such as example.net',
)

function accountName(kind: 'user' | 'group') {
  return word(
    /^[A-Za-z_][A-Za-z0-9._-]{0,31}$/,
    `must be a ${kind} name: 1 to 32 letters, digits, ".", "_" or "-", starting with a letter or "_"`,
  )
}

type Judged<T> = { readonly value: T } | { readonly wanted: string }

/** A text of one form; the JSON Schema gets the same pattern. */
function text(form: RegExp, wanted: string) {
  return z.string(wanted).regex(form, wanted)
}

/** A name. YAML reads an unquoted `12` or `true` as a number or a truth value. */
function word(form: RegExp, wanted: string) {
  const isScalar = (input: unknown) => typeof input === 'number' || typeof input === 'boolean'
  return z.string({ error: (issue) => (isScalar(issue.input) ? `${wanted}, in quotes` : wanted) }).regex(form, wanted)
}

/** A text that a judge turns into a value, or refuses with what is wanted. */
function judged<T>(form: z.ZodType<string, string>, judge: (value: string) => Judged<T>) {
  return form.transform((value, context): T => {
    const verdict = judge(value)
    if ('value' in verdict) return verdict.value
    context.addIssue({ code: 'custom', message: verdict.wanted, input: value })
    return z.NEVER
  })
}

/** RFC 3021 and RFC 6164: a subnet of two addresses has neither network nor broadcast address. */
function subnetKind(prefix: Prefix): string | undefined {
  if (prefix.prefixLength === 0) return 'a prefix of length 0, which would make every address a neighbour'
  if (prefix.prefixLength >= (prefix.family === 6 ? 127 : 31)) return undefined
  if (hostBitsAre(0, prefix)) return prefix.family === 6 ? 'the subnet-router anycast address' : 'the network address'
  return prefix.family === 4 && hostBitsAre(1, prefix) ? 'the broadcast address of its subnet' : undefined
}
