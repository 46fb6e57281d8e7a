import { spawnSync } from 'node:child_process'
import { afterEach, describe, expect, test } from 'vitest'
import { formatPrefix, type Prefix } from '../../src/base/address.ts'
import { addAddress, listAddresses, removeAddress } from '../../src/linux/address.ts'
import { addBridge, linkByName, removeLink, setLink, withoutLinkLocal } from '../../src/linux/link.ts'
import type { NamespaceView } from '../../src/linux/namespace-view.ts'
import { deleteNamespace, type Namespace } from '../../src/linux/netns.ts'
import { namespaceIdPayload, RTM_NEWNSID } from '../../src/linux/rtnetlink.ts'
import { openNetlink } from '../../src/linux/netlink-socket.ts'
import { run } from '../../src/linux/run.ts'
import { takeSnapshot } from '../../src/linux/snapshot.ts'
import { type KernelWatch, type KernelWatchOptions, openWatchSocket, watchKernel } from '../../src/linux/watch.ts'
import { type Scratch, scratchNamespaces } from './linux-scratch.ts'

const scratch = scratchNamespaces()
const watches: { close(): void }[] = []

afterEach(async () => {
  for (const watch of watches.splice(0)) watch.close()
  await scratch.removeAll()
})

const told: string[] = []

/** With an end of its own that takes snapshots at once. */
interface TestWatch extends KernelWatch {
  take(namespace: Namespace, depth?: 'all' | 'addresses'): { readonly nsid: number; readonly missed: boolean }
}

function start(options: Partial<KernelWatchOptions> & { receiveBufferBytes?: number } = {}): TestWatch {
  told.length = 0
  const watch = watchKernel({
    fd: openWatchSocket(options.receiveBufferBytes),
    onChange: (nsid, view, cause) => told.push(`${nsid} ${cause.kind} ${texts(view).join(' ')}`),
    onGone: (nsid) => told.push(`${nsid} gone`),
    ...options,
  })
  const host = openNetlink()
  watches.push(watch, host)
  return Object.assign(Object.create(watch) as KernelWatch, {
    take: (namespace: Namespace, depth: 'all' | 'addresses' = 'all') =>
      watch.track(() => takeSnapshot(host, namespace.fd, depth)),
  })
}

const texts = (view: NamespaceView | undefined): string[] => (view?.addresses ?? []).map(formatPrefix).sort()
const v4 = (address: string): Prefix => ({ family: 4, address, prefixLength: 32 })

/** A namespace with a bridge `ha0` without addresses of its own. */
async function router(): Promise<Scratch & { ifindex: number }> {
  const made = await scratch.make()
  made.socket.apply([addBridge({ name: 'ha0' }), withoutLinkLocal('ha0')])
  return { ...made, ifindex: linkByName(made.socket, 'ha0').ifindex }
}

/** The kernel ends a namespace, and frees its id, in the background; blocks meanwhile, at most 10 s. */
function giveWhenFree(nsid: number, namespaceFd: number): void {
  using host = openNetlink()
  const payload = namespaceIdPayload(namespaceFd, nsid)
  for (const end = Date.now() + 10_000; ;) {
    try {
      host.apply([{ says: `give the id ${nsid} to another`, type: RTM_NEWNSID, payload }])
      return
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

describe('watchKernel()', () => {
  test('hears every change in each of 50 namespaces, and none of others', async () => {
    const routers = []
    for (let at = 0; at < 50; at++) routers.push(await router())
    const stranger = await router()
    const watch = start()
    const ids = routers.map(({ namespace }) => watch.take(namespace).nsid)
    expect(new Set(ids).size).toBe(50)
    for (const { socket, ifindex } of [stranger, ...routers]) {
      socket.apply([addAddress(ifindex, v4('10.0.0.1')), addAddress(ifindex, v4('10.0.0.2'))])
      socket.apply([removeAddress(ifindex, v4('10.0.0.1'))])
    }
    const expected = ids.flatMap((id) => [
      `${id} event 10.0.0.1/32`,
      `${id} event 10.0.0.1/32 10.0.0.2/32`,
      `${id} event 10.0.0.2/32`,
    ])
    await expect.poll(() => told.length).toBe(150)
    expect([...told].sort()).toEqual(expected.sort())
  })

  test('tracks what is there already, links included', async () => {
    const { namespace, socket, ifindex } = await router()
    socket.apply([addAddress(ifindex, v4('10.0.0.1')), setLink('ha0', { alias: 'keepward:agent:r1' })])
    const watch = start()
    const { nsid } = watch.take(namespace)
    const view = watch.view(nsid)
    expect(view?.links.map(({ name, alias }) => [name, alias])).toEqual([
      ['lo', undefined],
      ['ha0', 'keepward:agent:r1'],
    ])
    expect(view?.addresses).toEqual(listAddresses(socket))
    expect(watch.take(namespace)).toEqual({ nsid, missed: false })
    expect(watch.view(nsid)).toBe(view)
    watch.untrack(nsid)
    expect(watch.view(nsid)).toBe(undefined)
  })

  test('hears links come, change and go', async () => {
    const { namespace, socket } = await router()
    const watch = start()
    const { nsid } = watch.take(namespace)
    const ha0 = () => watch.view(nsid)?.links.find(({ name }) => name === 'ha0')
    socket.apply([setLink('ha0', { up: true })])
    await expect.poll(() => ha0()?.up).toBe(true)
    socket.apply([setLink('ha0', { up: false, alias: 'x' })])
    await expect.poll(() => [ha0()?.up, ha0()?.alias]).toEqual([false, 'x'])
    socket.apply([removeLink('ha0')])
    await expect.poll(ha0).toBe(undefined)
  })

  test('is exact when it starts in the middle of changes (subscribe, snapshot, replay)', async () => {
    const { namespace, socket, ifindex } = await router()
    const lines = Array.from({ length: 12000 }, (_, at) => {
      const verb = at % 2 === 0 ? 'add' : 'del'
      return `address ${verb} 10.0.${Math.floor(at / 2) % 7}.1/32 dev ha0`
    })
    lines.push(...[0, 2, 4].map((n) => `address add 10.0.${n}.1/32 dev ha0`))
    const flood = { done: false }
    const stdin = `${lines.join('\n')}\n`
    let looks = 0
    // A machine that is busy with others has the flood go by between two looks.
    const pour = async () => {
      for (let rounds = 0; rounds < 20 && looks < 4; rounds++) {
        if (rounds > 0)
          await run(['ip', 'address', 'flush', 'dev', 'ha0', 'scope', 'global'], { namespaceFd: namespace.fd })
        await run(['ip', '-batch', '-'], { namespaceFd: namespace.fd, stdin })
      }
      flood.done = true
    }
    const end = pour()
    while (!flood.done) {
      const watch = start()
      watch.take(namespace)
      for (let at = 0; at < 5; at++) {
        await new Promise(setImmediate)
        expect(watch.take(namespace).missed).toBe(false)
      }
      looks++
      watch.close()
    }
    await end
    const watch = start()
    const { nsid } = watch.take(namespace)
    expect(looks).toBeGreaterThan(3)
    expect(texts(watch.view(nsid))).toEqual(['10.0.0.1/32', '10.0.2.1/32', '10.0.4.1/32'])
    expect(watch.view(nsid)?.addresses).toEqual(listAddresses(socket).filter((address) => address.ifindex === ifindex))
  })

  test('recovers from an overrun, more than once', async () => {
    const { namespace, socket, ifindex } = await router()
    let recovered = 0
    const watch: TestWatch = start({
      receiveBufferBytes: 4096,
      onOverrun: () => {
        recovered += 1
        watch.take(namespace)
      },
    })
    const { nsid } = watch.take(namespace)
    for (let round = 1; round <= 3; round++) {
      const before = recovered
      // Synchronous: the event loop does not run, so the socket is not read.
      for (let at = 0; at < 200; at++) {
        socket.apply([
          addAddress(ifindex, v4(`10.${round}.0.${at}`)),
          removeAddress(ifindex, v4(`10.${round}.0.${at}`)),
        ])
      }
      socket.apply([addAddress(ifindex, v4(`10.${round}.1.1`))])
      await expect.poll(() => recovered).toBeGreaterThan(before)
      expect(texts(watch.view(nsid))).toContain(`10.${round}.1.1/32`)
      expect(texts(watch.view(nsid))).toHaveLength(round)
    }
    expect(watch.overruns).toBeGreaterThanOrEqual(3)
    socket.apply([addAddress(ifindex, v4('10.9.9.9'))])
    await expect.poll(() => texts(watch.view(nsid))).toContain('10.9.9.9/32')
  })

  test('says that a namespace is gone when it is deleted behind our back', async () => {
    const { namespace, socket } = await router()
    const watch = start()
    const { nsid } = watch.take(namespace)
    socket.close()
    namespace.close()
    await deleteNamespace(namespace.name)
    await expect.poll(() => told).toContain(`${nsid} gone`)
    expect(watch.view(nsid)).toBe(undefined)
  })

  test('an exception of whoever hears a change counts as a change that was missed, and ends nothing', async () => {
    let throws = true
    let overruns = 0
    const watch = start({
      onChange: (nsid, view) => {
        if (throws) throw new Error('not understood')
        told.push(`${nsid} ${texts(view).join(' ')}`)
      },
      onOverrun: () => {
        overruns += 1
      },
    })
    const { namespace, socket, ifindex } = await router()
    watch.take(namespace)
    socket.apply([addAddress(ifindex, v4('10.0.0.1'))])
    await expect.poll(() => overruns).toBe(1)
    throws = false
    const { nsid } = watch.take(namespace)
    socket.apply([addAddress(ifindex, v4('10.0.0.2'))])
    await expect.poll(() => told).toContain(`${nsid} 10.0.0.1/32 10.0.0.2/32`)
  })

  test('after an overrun, does not take a namespace that was given the id for the one that had it', async () => {
    const { namespace, socket } = await router()
    const flooded = await router()
    const successor = await router()
    const watch = start({ receiveBufferBytes: 4096 })
    const { nsid } = watch.take(namespace)
    watch.take(flooded.namespace)
    successor.socket.apply([addAddress(successor.ifindex, v4('10.6.6.6'))])
    // All of it in one turn of the event loop: the end of the namespace is not heard.
    for (let at = 0; at < 200; at++) {
      flooded.socket.apply([
        addAddress(flooded.ifindex, v4('10.0.0.1')),
        removeAddress(flooded.ifindex, v4('10.0.0.1')),
      ])
    }
    socket.close()
    namespace.close()
    spawnSync('ip', ['netns', 'delete', namespace.name])
    giveWhenFree(nsid, successor.namespace.fd)
    await expect.poll(() => watch.overruns).toBeGreaterThan(0)
    await expect.poll(() => watch.view(nsid)).toBe(undefined)
    successor.socket.apply([
      removeAddress(successor.ifindex, v4('10.6.6.6')),
      addAddress(successor.ifindex, v4('10.6.6.6')),
    ])
    flooded.socket.apply([addAddress(flooded.ifindex, v4('10.0.0.2'))])
    watch.take(flooded.namespace)
    expect(told.filter((line) => line.includes('10.6.6.6'))).toEqual([])
  })

  test('a look at addresses alone finds no difference while all is heard', async () => {
    const { namespace, socket, ifindex } = await router()
    const watch = start()
    const { nsid } = watch.take(namespace)
    socket.apply([addAddress(ifindex, v4('10.0.0.1'))])
    expect(watch.take(namespace, 'addresses').missed).toBe(false)
    // It has read what waited before it looked: the change was told as one.
    expect(told).toEqual([`${nsid} event 10.0.0.1/32`])
    expect(texts(watch.view(nsid))).toEqual(['10.0.0.1/32'])
    expect(watch.view(nsid)?.links.map(({ name }) => name)).toEqual(['lo', 'ha0'])
  })

  test('a look that takes its time is exact about what changed before, during and after its snapshot', async () => {
    const { namespace, socket, ifindex } = await router()
    socket.apply([addAddress(ifindex, v4('10.0.0.1'))])
    const watch = start()
    using host = openNetlink()
    const found = await watch.look(async () => {
      socket.apply([addAddress(ifindex, v4('10.0.0.2')), addAddress(ifindex, v4('10.0.0.3'))])
      await new Promise(setImmediate)
      const snapshot = takeSnapshot(host, namespace.fd, 'all')
      await new Promise(setImmediate)
      socket.apply([removeAddress(ifindex, v4('10.0.0.1')), removeAddress(ifindex, v4('10.0.0.2'))])
      return snapshot
    })
    expect(texts(watch.view(found?.nsid ?? -1))).toEqual(['10.0.0.3/32'])
    expect(found?.missed).toBe(false)
  })

  test('a look finds what was not heard', async () => {
    const { namespace, socket, ifindex } = await router()
    const watch = start()
    const { nsid } = watch.take(namespace)
    const { links, addresses } = watch.view(nsid) ?? { links: [], addresses: [] }
    socket.apply([addAddress(ifindex, v4('10.0.0.1'))])
    await expect.poll(() => texts(watch.view(nsid))).toEqual(['10.0.0.1/32'])
    expect(watch.track(() => ({ nsid, links, addresses })).missed).toBe(true)
    expect(told.at(-1)).toBe(`${nsid} look `)
  })
})
