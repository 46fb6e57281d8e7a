import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Host, HostEvent } from '../../src/host/operation.ts'
import type { KernelEvidence } from '../../src/router/evidence.ts'
import type { RouterSpec } from '../../src/router/spec.ts'
import { followersContract } from './followers-contract.ts'
import { id, table } from './router.ts'
import { staysSo, until } from './until.ts'

/** A host to be held to the contract, and what it told. */
export interface HostUnderTest {
  readonly host: Host
  readonly events: readonly HostEvent[]
  /** A router with the interfaces ha0 and ext0, that this host can make. */
  readonly spec: RouterSpec
  /** Removes everything, whatever state the test left. */
  end(): Promise<void>
}

/** What every host does alike, be it root's or one in memory. */
export function hostContract(name: string, open: () => Promise<HostUnderTest>): void {
  describe(name, () => {
    let it: HostUnderTest
    beforeEach(async () => {
      it = await open()
      await it.host.configure(table([it.spec]))
    })
    afterEach(async () => {
      await it.end()
    })

    const inspect = () => it.host.perform({ verb: 'inspect', router: it.spec.id })

    /** What the kernel shows now. */
    const kernel = async (): Promise<KernelEvidence> => {
      const before = it.events.length
      await it.host.recheck(it.spec.id)
      return until('evidence of a recheck', () => {
        const event = it.events.slice(before).findLast((one) => one.type === 'kernel' && one.from === 'recheck')
        return event?.type === 'kernel' && event.evidence
      })
    }

    const make = async (): Promise<void> => {
      const router = it.spec.id
      await it.host.perform({ verb: 'ensure-namespace', router })
      for (const one of it.spec.interfaces)
        await it.host.perform({ verb: 'ensure-interface', router, interface: one.name })
      await it.host.perform({ verb: 'ensure-filter', router })
      await it.host.perform({ verb: 'write-config', router })
    }

    const start = async (): Promise<void> => {
      await make()
      await it.host.perform({ verb: 'start-keepalived', router: it.spec.id })
    }

    /** What does not differ between two looks at an unchanged world. */
    const picture = async () => {
      const evidence = await kernel()
      const { process, settings } = await inspect()
      return {
        kernel:
          evidence.kind === 'present' ? { interfaces: evidence.interfaces, named: evidence.named } : evidence.kind,
        pid: process.kind === 'running' ? process.pid : undefined,
        settings: { ...settings, asOf: undefined },
      }
    }

    test('inspect and recheck find nothing of a router that was not made', async () => {
      expect(await kernel()).toMatchObject({ kind: 'absent' })
      expect(await inspect()).toMatchObject({
        process: { kind: 'absent' },
        settings: { kind: 'seen', namespaceReady: false, writtenDigest: undefined, change: 'none', misattached: [] },
      })
      expect(await it.host.perform({ verb: 'list-owned' })).not.toContainEqual(
        expect.objectContaining({ router: it.spec.id }),
      )
    })

    followersContract(() => it, make)

    test('a router that neither config nor kernel knows is router-unknown to all that changes', async () => {
      const router = id('nobody')
      for (const operation of [
        { verb: 'ensure-namespace' },
        { verb: 'ensure-interface', interface: 'ha0' },
        { verb: 'remove-interface', interface: 'ha0' },
        { verb: 'ensure-filter' },
        { verb: 'write-config' },
        { verb: 'start-keepalived' },
        { verb: 'remove-router' },
      ] as const)
        await expect(it.host.perform({ ...operation, router }), operation.verb).rejects.toMatchObject({
          code: 'router-unknown',
        })
      await expect(it.host.perform({ verb: 'ask-keepalived', router })).rejects.toMatchObject({
        code: 'keepalived-silent',
      })
      await expect(it.host.perform({ verb: 'reload-keepalived', router })).rejects.toThrow()
      expect(await it.host.perform({ verb: 'inspect', router })).toMatchObject({
        process: { kind: 'absent' },
        settings: { wantedDigest: '', writtenDigest: undefined },
      })
    })

    test('an operation on an undeclared interface is interface-undeclared', async () => {
      const router = it.spec.id
      await it.host.perform({ verb: 'ensure-namespace', router })
      await expect(it.host.perform({ verb: 'ensure-interface', router, interface: 'qr9' })).rejects.toMatchObject({
        code: 'interface-undeclared',
      })
    })

    test('what needs a namespace is namespace-missing before there is one', async () => {
      const router = it.spec.id
      for (const operation of [
        { verb: 'ensure-interface', interface: 'ha0' },
        { verb: 'ensure-filter' },
        { verb: 'write-config' },
        { verb: 'start-keepalived' },
      ] as const)
        await expect(it.host.perform({ ...operation, router }), operation.verb).rejects.toMatchObject({
          code: 'namespace-missing',
        })
    })

    test('a router is made step by step, and each step is seen', async () => {
      const router = it.spec.id
      await it.host.perform({ verb: 'ensure-namespace', router })
      expect(await kernel()).toMatchObject({ kind: 'present', named: true })
      expect((await inspect()).settings).toMatchObject({ namespaceReady: true, writtenDigest: undefined })
      expect(await it.host.perform({ verb: 'list-owned' })).toContainEqual({ router, namespace: it.spec.namespace })
      for (const one of it.spec.interfaces) {
        await it.host.perform({ verb: 'ensure-interface', router, interface: one.name })
        const evidence = await kernel()
        const link = evidence.kind === 'present' ? evidence.interfaces.get(one.name) : undefined
        expect(link).toMatchObject({ up: true, ours: true })
        const held = link?.addresses.filter(({ ours }) => ours).map(({ address }) => address)
        expect(held).toEqual(one.addresses.map(({ address }) => address))
      }
      expect((await inspect()).settings).toMatchObject({ filter: { kind: 'missing' } })
      await it.host.perform({ verb: 'ensure-filter', router })
      expect((await inspect()).settings).toMatchObject({ filter: { kind: 'ready', strangers: [] } })
      await it.host.perform({ verb: 'write-config', router })
      const { settings } = await inspect()
      if (settings.kind !== 'seen') throw new Error('not seen')
      expect(settings.writtenDigest).toBe(settings.wantedDigest)
      expect((await inspect()).process).toMatchObject({ kind: 'absent' })
      await it.host.perform({ verb: 'start-keepalived', router })
      const running = await until('parent and child', async () => {
        const { process } = await inspect()
        return process.kind === 'running' && process.childPid !== undefined && process
      })
      expect(running).toMatchObject({ stopped: false, loadedDigest: settings.wantedDigest })
      const says = await until('an answer', () => it.host.perform({ verb: 'ask-keepalived', router }))
      expect(says).toMatchObject({ kind: 'said', priority: it.spec.priority })
    })

    test('every step may be repeated: the second time nothing differs', async () => {
      await start()
      await until('the VRRP child', async () => {
        const { process } = await inspect()
        return process.kind === 'running' && process.childPid !== undefined
      })
      const before = await picture()
      await make()
      expect(await picture()).toEqual(before)
      expect(before.pid).toBeGreaterThan(0)
    })

    test('a filter for other peers is missing, until it is made in place of the first', async () => {
      await make()
      const router = it.spec.id
      const filter = async () => {
        const { settings } = await inspect()
        return settings.kind === 'seen' ? settings.filter.kind : settings.kind
      }
      expect(await filter()).toBe('ready')
      await it.host.configure(table([{ ...it.spec, advertise: { ...it.spec.advertise, peers: ['169.254.192.3'] } }]))
      expect(await filter()).toBe('missing')
      await it.host.perform({ verb: 'ensure-filter', router })
      expect(await filter()).toBe('ready')
    })

    test('preview compares with the staged table and changes nothing', async () => {
      await start()
      const before = await picture()
      const router = it.spec.id
      await it.host.stage(table([{ ...it.spec, priority: 42 }]))
      const { settings } = await it.host.perform({ verb: 'preview', router })
      expect(settings).toMatchObject({ kind: 'seen', change: 'may-move-role' })
      if (settings.kind !== 'seen') throw new Error('not seen')
      expect(settings.writtenDigest).not.toBe(settings.wantedDigest)
      const stranger = { ...it.spec, id: id('newcomer'), namespace: `${it.spec.namespace}-new` }
      await it.host.stage(table([it.spec, stranger]))
      expect(await it.host.perform({ verb: 'preview', router: stranger.id })).toMatchObject({
        process: { kind: 'absent' },
        settings: { kind: 'seen', namespaceReady: false, writtenDigest: undefined },
      })
      expect(await picture()).toEqual(before)
    })

    test('reload takes over the written config in the same process', async () => {
      await start()
      const router = it.spec.id
      await until('an answer', () => it.host.perform({ verb: 'ask-keepalived', router }))
      const { pid } = await picture()
      await it.host.configure(table([{ ...it.spec, priority: 42 }]))
      await it.host.perform({ verb: 'write-config', router })
      await it.host.perform({ verb: 'reload-keepalived', router })
      const { process, settings } = await inspect()
      if (settings.kind !== 'seen') throw new Error('not seen')
      expect(process).toMatchObject({ kind: 'running', pid, loadedDigest: settings.wantedDigest })
      await until('it says the new priority', async () => {
        const answer = await it.host.perform({ verb: 'ask-keepalived', router })
        return answer.kind === 'said' && answer.priority === 42
      })
    })

    test('a keepalived whose HA interface was made anew is deaf, until it is reloaded', async () => {
      await start()
      const router = it.spec.id
      await until('an answer', () => it.host.perform({ verb: 'ask-keepalived', router }))
      const deaf = async () => {
        const [looked, glanced] = [(await inspect()).process, await it.host.perform({ verb: 'glance', router })]
        if (looked.kind !== 'running' || glanced.kind !== 'running') throw new Error('keepalived does not run')
        expect(glanced.deaf).toBe(looked.deaf)
        return looked.deaf
      }
      expect(await deaf()).toBe(false)
      await it.host.perform({ verb: 'remove-interface', router, interface: 'ha0' })
      await until('deaf without it', deaf)
      await it.host.perform({ verb: 'ensure-interface', router, interface: 'ha0' })
      await staysSo('deaf on the new one', deaf, 100)
      await it.host.perform({ verb: 'reload-keepalived', router })
      expect(await deaf()).toBe(false)
    })

    test('remove-interface removes one of ours', async () => {
      await make()
      await it.host.perform({ verb: 'remove-interface', router: it.spec.id, interface: 'ext0' })
      const evidence = await kernel()
      expect(evidence.kind === 'present' && [...evidence.interfaces.keys()].includes('ext0')).toBe(false)
      expect(evidence.kind === 'present' && [...evidence.interfaces.keys()].includes('ha0')).toBe(true)
    })

    test('remove-router leaves nothing, also of a router that the config dropped, and may be repeated', async () => {
      await start()
      await it.host.configure('nothing')
      await it.host.perform({ verb: 'remove-router', router: it.spec.id })
      expect(it.events.findLast((one) => one.type === 'kernel')).toMatchObject({ evidence: { kind: 'absent' } })
      expect(await it.host.perform({ verb: 'list-owned' })).not.toContainEqual(
        expect.objectContaining({ router: it.spec.id }),
      )
      await expect(it.host.perform({ verb: 'remove-router', router: it.spec.id })).rejects.toMatchObject({
        code: 'router-unknown',
      })
      await it.host.configure(table([it.spec]))
      await it.host.perform({ verb: 'remove-router', router: it.spec.id })
      expect(await inspect()).toMatchObject({
        process: { kind: 'absent' },
        settings: { namespaceReady: false, writtenDigest: undefined },
      })
    })

    test('a router that was dropped before anything was made can come back', async () => {
      await it.host.configure('nothing')
      expect(await inspect()).toMatchObject({ process: { kind: 'absent' }, settings: { writtenDigest: undefined } })
      await it.host.configure(table([it.spec]))
      const { settings } = await inspect()
      expect(settings.kind === 'seen' && settings.wantedDigest).not.toBe('')
      await start()
      expect((await inspect()).process).toMatchObject({ kind: 'running' })
    })

    test('a router that was dropped and removed can come back', async () => {
      await start()
      await it.host.configure('nothing')
      await it.host.perform({ verb: 'remove-router', router: it.spec.id })
      await it.host.configure(table([it.spec]))
      await start()
      expect((await inspect()).process).toMatchObject({ kind: 'running' })
    })
  })
}
