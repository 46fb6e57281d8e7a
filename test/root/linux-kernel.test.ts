import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { addAddress, listAddresses, removeAddress } from '../../src/linux/address.ts'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import {
  addBridge,
  addMacvlan,
  addVeth,
  addVxlan,
  findLink,
  linkByName,
  listLinks,
  removeLink,
  setLink,
  withoutLinkLocal,
} from '../../src/linux/link.ts'
import { kernelCodeOf, openNetlink } from '../../src/linux/netlink-socket.ts'
import {
  createNamespace,
  createNamespaces,
  deleteNamespace,
  listNamespaces,
  namespaceId,
  namespaceInode,
  openNamespace,
} from '../../src/linux/netns.ts'
import { formatPrefix } from '../../src/base/address.ts'
import { listRoutes, removeRoute } from '../../src/linux/route.ts'
import { networkNamespaceOf } from '../../src/linux/process.ts'
import { run } from '../../src/linux/run.ts'
import { spawnDetached } from '../../src/linux/spawn-detached.ts'
import { readSysctl, writeSysctl } from '../../src/linux/sysctl.ts'
import { type Scratch, scratchNamespaces } from './linux-scratch.ts'

/** `host` stands for the host's namespace: nothing here touches the real one's links. */
const scratch = scratchNamespaces()
let host: Scratch
let router: Scratch

beforeAll(async () => {
  host = await scratch.make()
  router = await scratch.make()
})

afterEach(() => {
  for (const { socket } of [host, router]) {
    for (const link of listLinks(socket)) if (link.name !== 'lo') socket.apply([removeLink(link.ifindex)])
  }
})

afterAll(() => scratch.removeAll())

const bridge = () => {
  host.socket.apply([addBridge({ name: 'br0', up: true })])
  return linkByName(host.socket, 'br0').ifindex
}

describe('namespaces', () => {
  test('are made, listed, opened, and removed for good', async () => {
    const name = `kwt-${process.pid}-own`
    await createNamespace(name)
    try {
      expect(listNamespaces()).toContain(name)
      using opened = openNamespace(name)
      expect(namespaceInode(name)).toBe(opened.inode)
      await expect(createNamespace(name)).rejects.toMatchObject({ code: 'command-failed' })
    } finally {
      await deleteNamespace(name)
    }
    await deleteNamespace(name)
    expect(listNamespaces()).not.toContain(name)
    expect(namespaceInode(name)).toBe(undefined)
    expect(() => openNamespace(name)).toThrow(`There is no network namespace ${name}`)
  })

  test('createNamespaces() makes many, and stops at one that is there', async () => {
    const names = [1, 2, 3].map((at) => `kwt-${process.pid}-many${at}`)
    try {
      await createNamespaces(names.slice(0, 2))
      expect(
        listNamespaces()
          .filter((name) => names.includes(name))
          .sort(),
      ).toEqual(names.slice(0, 2))
      await expect(createNamespaces([...names.slice(1), 'never'])).rejects.toMatchObject({ code: 'command-failed' })
      expect(listNamespaces()).not.toContain(names[2])
    } finally {
      for (const name of names) await deleteNamespace(name)
    }
  })

  test.each(['../etc', 'a/b', '', '-x', '.x'])('refuse the name %j', async (name) => {
    expect(() => openNamespace(name)).toThrow('is no namespace name')
    await expect(createNamespace(name)).rejects.toThrow('is no namespace name')
  })

  test('namespaceId() gives an id once and keeps it', () => {
    using socket = openNetlink()
    const id = namespaceId(socket, router.namespace.fd)
    expect(id).toBeGreaterThanOrEqual(0)
    expect(namespaceId(socket, router.namespace.fd)).toBe(id)
    expect(namespaceId(socket, host.namespace.fd)).not.toBe(id)
  })
})

describe('inNamespace()', () => {
  const here = () => networkNamespaceOf(process.pid)

  test('runs its body there and comes back', () => {
    const home = here()
    expect(inNamespace(router.namespace.fd, here)).toBe(router.namespace.inode)
    expect(here()).toBe(home)
  })

  test('comes back when its body throws', () => {
    const home = here()
    expect(() =>
      inNamespace(router.namespace.fd, () => {
        throw new Error('inside')
      }),
    ).toThrow('inside')
    expect(here()).toBe(home)
  })

  test('stays where it is when the descriptor is no namespace', () => {
    const home = here()
    expect(() => inNamespace(0, here)).toThrow('Cannot enter a network namespace')
    expect(here()).toBe(home)
  })

  test('is not re-entrant', () => {
    const nested = () => inNamespace(router.namespace.fd, () => inNamespace(host.namespace.fd, here))
    expect(nested).toThrow('not re-entrant')
    expect(inNamespace(host.namespace.fd, here)).toBe(host.namespace.inode)
  })

  test('gives commands and daemons their namespace', async () => {
    const namespaceFd = router.namespace.fd
    const { stdout } = await run(['readlink', '/proc/self/ns/net'], { namespaceFd })
    expect(stdout).toBe(`net:[${router.namespace.inode}]\n`)
    const { process: daemon } = await spawnDetached(['sleep', '60'], { namespaceFd })
    expect(daemon.identity()).toMatchObject({ argv: ['sleep', '60'], networkNamespace: router.namespace.inode })
    daemon.signal('SIGKILL')
    expect(await daemon.ended(5000)).toBe(true)
    daemon.close()
  })
})

describe('links', () => {
  test('addVeth() joins a bridge and the router, both ends marked', () => {
    const master = bridge()
    host.socket.apply([
      addVeth({
        outer: { name: 'kw0', up: true, master },
        inner: { name: 'ha0', mtu: 1400, macAddress: '02:00:00:00:00:01' },
        namespaceFd: router.namespace.fd,
      }),
      setLink('kw0', { alias: 'keepward:agent:r1' }),
    ])
    router.socket.apply([withoutLinkLocal('ha0'), setLink('ha0', { alias: 'keepward:agent:r1', up: true })])
    expect(linkByName(host.socket, 'kw0')).toMatchObject({ kind: 'veth', master, up: true, alias: 'keepward:agent:r1' })
    expect(linkByName(router.socket, 'ha0')).toMatchObject({
      kind: 'veth',
      up: true,
      carrier: true,
      mtu: 1400,
      macAddress: '02:00:00:00:00:01',
      alias: 'keepward:agent:r1',
    })
    expect(listAddresses(router.socket)).toEqual([])
  })

  test('addMacvlan() and addVxlan() stand in the router on a parent of the host', () => {
    const parent = bridge()
    const namespaceFd = router.namespace.fd
    host.socket.apply([
      addMacvlan({ name: 'ex0', mtu: 1400 }, { parent, namespaceFd }),
      addVxlan({ name: 'ha0' }, { parent, vni: 77, remote: '239.1.1.1', port: 4789, namespaceFd }),
      addVxlan({ name: 'ha1' }, { parent, vni: 78, remote: 'ff05::100', port: 4789, namespaceFd }),
    ])
    router.socket.apply([setLink('ex0', { up: true }), setLink('ha0', { up: true, alias: 'keepward:agent:r1' })])
    expect(linkByName(router.socket, 'ex0')).toMatchObject({ kind: 'macvlan', up: true, mtu: 1400 })
    expect(linkByName(router.socket, 'ha0')).toMatchObject({ kind: 'vxlan', up: true, alias: 'keepward:agent:r1' })
    expect(linkByName(router.socket, 'ha1')).toMatchObject({ kind: 'vxlan' })
    expect(findLink(host.socket, 'ex0')).toBe(undefined)
  })

  test('setLink() takes a link off its bridge, renames it and brings it down', () => {
    const master = bridge()
    const namespaceFd = router.namespace.fd
    host.socket.apply([addVeth({ outer: { name: 'kw0', up: true, master }, inner: { name: 'ha0' }, namespaceFd })])
    const { ifindex } = linkByName(host.socket, 'kw0')
    host.socket.apply([setLink(ifindex, { master: 0, up: false, mtu: 1300 }), setLink(ifindex, { rename: 'kw1' })])
    expect(linkByName(host.socket, 'kw1')).toMatchObject({ ifindex, master: undefined, up: false, mtu: 1300 })
  })

  test('removeLink() does not mind that the link is gone, setLink() does', () => {
    host.socket.apply([removeLink('none'), removeLink(9999)])
    expect(() => host.socket.apply([setLink('none', { up: true })])).toThrow('Cannot change interface none')
    expect(() => linkByName(host.socket, 'none')).toThrow('There is no interface none')
  })

  test('apply() says what the kernel refused and why, and does the rest', () => {
    bridge()
    const apply = () =>
      host.socket.apply([
        addBridge({ name: 'br0' }),
        setLink('br0', { mtu: 10 }),
        setLink('br0', { alias: 'still done' }),
      ])
    expect(apply).toThrow('Cannot create bridge br0')
    try {
      host.socket.apply([setLink('br0', { mtu: 10 })])
      expect.unreachable()
    } catch (error) {
      expect([kernelCodeOf(error), String((error as Error).cause)]).toEqual([
        'EINVAL',
        'Error: EINVAL, mtu less than device minimum',
      ])
    }
    expect(linkByName(host.socket, 'br0').alias).toBe('still done')
  })

  test('apply() takes more requests than one batch holds', () => {
    bridge()
    const requests = Array.from({ length: 1000 }, (_, at) => setLink('br0', { alias: `number ${at}` }))
    host.socket.apply(requests)
    expect(linkByName(host.socket, 'br0').alias).toBe('number 999')
  })
})

describe('addresses', () => {
  const marker = { family: 4, address: '169.254.0.7', prefixLength: 24 } as const
  const other = { family: 6, address: '2001:db8::7', prefixLength: 64 } as const

  test('are added marked as ours, once, and removed, once', () => {
    router.socket.apply([addBridge({ name: 'ha0' }), withoutLinkLocal('ha0'), setLink('ha0', { up: true })])
    const { ifindex } = linkByName(router.socket, 'ha0')
    const add = [addAddress(ifindex, marker), addAddress(ifindex, other)]
    router.socket.apply([...add, ...add])
    const ours = { ifindex, tentative: false, duplicate: false, protocol: 152 }
    expect(listAddresses(router.socket)).toEqual([
      { ...marker, ...ours },
      { ...other, ...ours },
    ])
    const remove = [removeAddress(ifindex, marker), removeAddress(ifindex, other)]
    router.socket.apply([...remove, ...remove, removeAddress(9999, marker)])
    expect(listAddresses(router.socket)).toEqual([])
  })

  test('addAddress() refuses a link that does not exist', () => {
    expect(() => router.socket.apply([addAddress(9999, marker)])).toThrow('Cannot add address 169.254.0.7/24')
  })
})

describe('routes', () => {
  test('of our protocol are listed and removed, others are left alone', async () => {
    router.socket.apply([addBridge({ name: 'ha0' }), withoutLinkLocal('ha0'), setLink('ha0', { up: true })])
    const { ifindex } = linkByName(router.socket, 'ha0')
    router.socket.apply([addAddress(ifindex, { family: 4, address: '10.0.0.1', prefixLength: 24 })])
    router.socket.apply([addAddress(ifindex, { family: 6, address: '2001:db8::1', prefixLength: 64 })])
    const lines = [
      'route add default via 10.0.0.254 protocol 152',
      'route add 10.7.0.0/16 dev ha0 protocol 152 metric 50',
      'route add 10.8.0.0/16 via 10.0.0.253 protocol 152 table 1000',
      'route add 10.9.0.0/16 dev ha0',
      '-6 route add default via 2001:db8::ff protocol 152',
    ]
    for (const line of lines) await run(['ip', ...line.split(' ')], { namespaceFd: router.namespace.fd })
    const routes = listRoutes(router.socket)
    const text = routes.map((route) => [
      formatPrefix(route.destination),
      route.via,
      route.metric,
      route.table,
      route.ifindex,
    ])
    expect(text).toEqual([
      ['10.8.0.0/16', '10.0.0.253', 0, 1000, ifindex],
      ['0.0.0.0/0', '10.0.0.254', 0, 254, ifindex],
      ['10.7.0.0/16', undefined, 50, 254, ifindex],
      ['::/0', '2001:db8::ff', 1024, 254, ifindex],
    ])
    const removals = routes.map((route) => removeRoute(route))
    router.socket.apply([...removals, ...removals])
    expect(listRoutes(router.socket)).toEqual([])
    const { stdout } = await run(['ip', 'route', 'show', '10.9.0.0/16'], { namespaceFd: router.namespace.fd })
    expect(stdout).toContain('10.9.0.0/16 dev ha0')
  })
})

describe('sysctls', () => {
  const key = 'net/ipv4/ip_forward'
  test('are those of the namespace', () => {
    const own = readSysctl(host.namespace.fd, key)
    writeSysctl(router.namespace.fd, key, own === '1' ? 0 : 1)
    expect(readSysctl(router.namespace.fd, key)).toBe(own === '1' ? '0' : '1')
    expect(readSysctl(host.namespace.fd, key)).toBe(own)
  })

  test('readSysctl() is undefined, writeSysctl() throws when there is no such key', () => {
    const missing = 'net/ipv6/conf/none/accept_dad'
    expect(readSysctl(router.namespace.fd, missing)).toBe(undefined)
    expect(() => {
      writeSysctl(router.namespace.fd, missing, 1)
    }).toThrow(`Cannot set sysctl ${missing}`)
  })

  test.each(['kernel/hostname', 'net/ipv4/../../kernel/hostname', 'net/ipv4', '/net/ipv4/ip_forward', 'net/ipv4/./x'])(
    'refuse the key %j',
    (name) => {
      expect(() => readSysctl(router.namespace.fd, name)).toThrow('is no networking key')
    },
  )
})
