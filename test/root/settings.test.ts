import { afterEach, beforeEach, expect, test } from 'vitest'
import { createNamespace, openNamespace } from '../../src/linux/netns.ts'
import { readSysctls, writeSysctl } from '../../src/linux/sysctl.ts'
import { ip, RealHostUnderTest } from '../support/real-host.ts'
import { table } from '../support/router.ts'
import { until } from '../support/until.ts'

let it: RealHostUnderTest
beforeEach(async () => {
  it = await RealHostUnderTest.open()
  await it.host.configure(table([it.spec]))
})
afterEach(async () => {
  await it.end()
})

const ensureNamespace = () => it.host.perform({ verb: 'ensure-namespace', router: it.spec.id })

async function make(): Promise<void> {
  await ensureNamespace()
  for (const { name } of it.spec.interfaces)
    await it.host.perform({ verb: 'ensure-interface', router: it.spec.id, interface: name })
}

async function ready(): Promise<boolean> {
  const { settings } = await it.host.perform({ verb: 'inspect', router: it.spec.id })
  return settings.kind === 'seen' && settings.namespaceReady
}

function read(...keys: string[]): (string | undefined)[] {
  using namespace = openNamespace(it.spec.namespace)
  return readSysctls(namespace.fd, keys)
}

function write(key: string, value: string): void {
  using namespace = openNamespace(it.spec.namespace)
  writeSysctl(namespace.fd, key, value)
}

const linkLocals = (device: string): number =>
  (ip('-n', it.spec.namespace, '-6', 'address', 'show', 'dev', device).match(/inet6 fe80:/g) ?? []).length

test('a new router forwards, hears no router advertisement, and has a link-local address of its own on the HA interface alone', async () => {
  await make()
  expect(await ready()).toBe(true)
  expect(
    read(
      'net/ipv4/ip_forward',
      'net/ipv6/conf/all/forwarding',
      'net/ipv6/conf/ext0/forwarding',
      'net/ipv6/conf/ext0/accept_ra',
      'net/ipv6/conf/ext0/addr_gen_mode',
      'net/ipv6/conf/ha0/addr_gen_mode',
    ),
  ).toEqual(['1', '1', '1', '0', '1', '0'])
  await until('the kernel has made it', () => linkLocals('ha0') === 1)
  expect(linkLocals('ext0')).toBe(0)
})

test.each([
  ['net/ipv4/ip_forward', '0', '1'],
  ['net/ipv4/conf/ext0/forwarding', '0', '1'],
  ['net/ipv6/conf/all/forwarding', '0', '1'],
  ['net/ipv6/conf/ext0/forwarding', '0', '1'],
  ['net/ipv6/conf/ext0/accept_ra', '2', '0'],
  ['net/ipv6/conf/ext0/addr_gen_mode', '0', '1'],
  ['net/ipv6/conf/ha0/addr_gen_mode', '1', '0'],
  ['net/ipv6/ip_nonlocal_bind', '0', '1'],
])('%s that somebody sets to %s is noticed, and put right', async (key, wrong, right) => {
  await make()
  write(key, wrong)
  expect(await ready()).toBe(false)
  await ensureNamespace()
  expect(read(key)).toEqual([right])
  expect(await ready()).toBe(true)
})

test('a link-local address of the kernel from before us goes from a silent interface; one that somebody added stays', async () => {
  await createNamespace(it.spec.namespace)
  // As an earlier version left it, or somebody else made it.
  for (const name of ['ha0', 'ext0'])
    ip('-n', it.spec.namespace, 'link', 'add', name, 'up', 'type', 'veth', 'peer', 'name', `${name}p`)
  for (const name of ['ha0p', 'ext0p']) ip('-n', it.spec.namespace, 'link', 'set', name, 'up')
  await until('the kernel has made them', () => linkLocals('ha0') === 1 && linkLocals('ext0') === 1)
  ip('-n', it.spec.namespace, 'address', 'add', 'fe80::77/64', 'dev', 'ext0', 'nodad')
  expect(await ready()).toBe(false)
  await ensureNamespace()
  expect(await ready()).toBe(true)
  expect(linkLocals('ha0')).toBe(1)
  expect(ip('-n', it.spec.namespace, '-6', 'address', 'show', 'dev', 'ext0')).toContain('fe80::77/64')
  expect(linkLocals('ext0')).toBe(1)
})
