import { expect, test } from 'vitest'
import type { ReactionEvidence } from '../../src/router/reaction.ts'
import type { HostUnderTest } from './host-contract.ts'
import { advertisement, table } from './router.ts'

/** What every host does alike with services that follow the role. `make`: what is to be there before they run. */
export function reactionContract(it: () => HostUnderTest, make: () => Promise<void>): void {
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
}

async function reactionsOf({ host, spec }: HostUnderTest): Promise<readonly ReactionEvidence[]> {
  const { settings } = await host.perform({ verb: 'inspect', router: spec.id })
  return settings.kind === 'seen' ? settings.reactions : []
}
