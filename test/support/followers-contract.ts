import { expect, test } from 'vitest'
import { keyOf } from '../../src/router/hook.ts'
import type { HostUnderTest } from './host-contract.ts'
import { advertisement, table } from './router.ts'

/** What every host does alike with what follows a role. `make`: makes the router of the host. */
export function followersContract(it: () => HostUnderTest, make: () => Promise<void>): void {
  test('react brings a service to each stance, once, and inspect sees which; remove-router ends it', async () => {
    const router = it().spec.id
    await it().host.configure(table([{ ...it().spec, routerAdvertisements: [advertisement] }]))
    await make()
    const is = async () => {
      const { settings } = await it().host.perform({ verb: 'inspect', router: it().spec.id })
      return settings.kind === 'seen' ? settings.reactions : []
    }
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
    const run = (place: number, role: 'primary' | 'backup', sequence: number) =>
      it().host.perform({
        ...{ verb: 'run-hook', router, hook: place, role, previous: 'unknown', sequence },
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
    await it().host.configure(table([{ ...it().spec, hooks: hooks.slice(0, 1) }]))
    expect(await heard()).toHaveLength(1)
    await it().host.perform({ verb: 'remove-router', router })
    expect(await heard()).toEqual([])
  })
}
