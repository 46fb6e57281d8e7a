import { expect, test } from 'vitest'
import { hookDigest } from '../../src/host/hook-digest.ts'
import { keyOf } from '../../src/router/hook.ts'
import type { ReactionEvidence } from '../../src/router/reaction.ts'
import type { HostUnderTest } from './host-contract.ts'
import { advertisement, table } from './router.ts'

/** What every host does alike with what follows a role. `make`: makes the router of the host. */
export function followersContract(it: () => HostUnderTest, make: () => Promise<void>): void {
  test('react brings a service to each stance, once, and inspect sees which; remove-router ends it', async () => {
    const router = it().spec.id
    await it().host.configure(table([{ ...it().spec, routerAdvertisements: [advertisement] }]))
    await make()
    const is = () => reactionsOf(it())
    const react = (stance: 'primary' | 'backup') =>
      it().host.perform({ verb: 'react', router, reaction: 'radvd', stance })
    expect(await is()).toEqual([{ reaction: 'radvd', is: 'backup' }])
    expect(await react('primary')).toBe('primary')
    expect(await react('primary')).toBe('primary')
    expect(await is()).toEqual([{ reaction: 'radvd', is: 'primary' }])
    expect(await react('backup')).toBe('backup')
    expect(await is()).toEqual([{ reaction: 'radvd', is: 'backup' }])
    await react('primary')
    await it().host.perform({ verb: 'remove-router', router })
    expect(await is()).toEqual([{ reaction: 'radvd', is: 'backup' }])
    expect(it().events.filter(({ type }) => type === 'service-ended')).toEqual([])
  })

  test('conntrackd runs in each stance, one and the same, and inspect sees what it was told; remove-router ends it', async () => {
    const router = it().spec.id
    const flows = { source: '169.254.192.1', peer: '169.254.192.2', port: 3780 }
    await it().host.configure(table([{ ...it().spec, connectionTracking: flows }]))
    await make()
    const is = () => reactionsOf(it())
    const react = (stance: 'primary' | 'backup') =>
      it().host.perform({ verb: 'react', router, reaction: 'conntrackd', stance })
    expect(await is()).toEqual([{ reaction: 'conntrackd', is: 'neither' }])
    for (const stance of ['backup', 'primary', 'backup'] as const) {
      expect(await react(stance)).toBe(stance)
      expect(await is()).toEqual([{ reaction: 'conntrackd', is: stance }])
    }
    await it().host.configure(table([it().spec]))
    expect(await is()).toEqual([{ reaction: 'conntrackd', is: 'neither' }])
    expect(await react('backup')).toBe('both')
    expect(await is()).toEqual([])
    await it().host.configure(table([{ ...it().spec, connectionTracking: flows }]))
    await react('primary')
    await it().host.perform({ verb: 'remove-router', router })
    expect(await is()).toEqual([{ reaction: 'conntrackd', is: 'neither' }])
    expect(it().events.filter(({ type }) => type === 'service-ended')).toEqual([])
  })

  test('run-hook has a hook hear its roles, each news once, and inspect sees what it heard; remove-router forgets it', async () => {
    const router = it().spec.id
    const hook = { args: [], user: 60_232, timeoutMs: 5000, namespace: 'router' } as const
    const hooks = [
      { ...hook, program: '/usr/bin/true', on: ['primary'] },
      { ...hook, program: '/usr/bin/id', on: ['primary', 'backup'] },
    ] as const
    const [, second] = hooks
    await it().host.configure(table([{ ...it().spec, hooks }]))
    await make()
    const heard = async () => {
      const { settings } = await it().host.perform({ verb: 'inspect', router: it().spec.id })
      return settings.kind === 'seen' ? settings.hooks : []
    }
    const run = (place: number, role: 'primary' | 'backup', sequence: number, meant = hooks[place]) =>
      it().host.perform({
        ...{ verb: 'run-hook', router, hook: place, role, previous: 'unknown', sequence },
        digest: hookDigest(keyOf(meant ?? second)),
        ...{ atMs: 1_700_000_000_000, cause: 'kernel' },
      })
    expect(await heard()).toEqual([])
    await run(1, 'primary', 7)
    expect(await heard()).toEqual([{ hook: keyOf(second), role: 'primary', sequence: 7 }])
    await run(1, 'backup', 8)
    await run(0, 'primary', 9)
    expect(await heard()).toHaveLength(2)
    expect(await heard()).toContainEqual({ hook: keyOf(second), role: 'backup', sequence: 8 })
    // It heard that: nothing is said by one that does not run.
    expect(await run(1, 'backup', 8)).toBe('')
    await expect(run(0, 'backup', 10)).rejects.toMatchObject({ code: 'hook-undeclared' })
    await expect(run(2, 'primary', 10)).rejects.toMatchObject({ code: 'hook-undeclared' })
    // Whoever asks has another config.
    await expect(run(0, 'primary', 10, second)).rejects.toMatchObject({ code: 'hook-undeclared' })
    expect(await heard()).toHaveLength(2)
    await it().host.configure(table([{ ...it().spec, hooks: hooks.slice(0, 1) }]))
    expect(await heard()).toHaveLength(1)
    await it().host.perform({ verb: 'remove-router', router })
    expect(await heard()).toEqual([])
  })
}

async function reactionsOf({ host, spec }: HostUnderTest): Promise<readonly ReactionEvidence[]> {
  const { settings } = await host.perform({ verb: 'inspect', router: spec.id })
  return settings.kind === 'seen' ? settings.reactions : []
}
