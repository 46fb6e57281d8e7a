import { expect, test } from 'vitest'
import { advertisement as plain, prefix, routerSpec } from '../../test/support/router.ts'
import { compareSpecs } from './diff.ts'
import type { Hook, RouterAdvertisement } from './spec.ts'

const advertisement: RouterAdvertisement = {
  ...plain,
  interface: 'int0',
  prefixes: [{ prefix: prefix('2001:db8::/64'), autonomous: true, onLink: true, validS: 86_400, preferredS: 14_400 }],
  mtu: 1400,
}
const hook: Hook = { program: '/x', args: [], user: 'u', on: ['primary'], timeoutMs: 1000, namespace: 'host' }
const source = { from: [prefix('10.0.0.0/24')], interface: 'ext0', to: '192.0.2.9' }
const floating = { inside: '10.0.0.5', outside: '192.0.2.5', interface: 'ext0' }
const before = routerSpec({
  routerAdvertisements: [advertisement],
  nat: { sources: [source, { ...source, to: undefined }], floating: [floating] },
  hooks: [hook, { ...hook, args: ['--twice'] }],
})

test.each([
  [
    'of an advertisement',
    { routerAdvertisements: [{ ...advertisement, mtu: 1450 }] },
    { path: 'routerAdvertisements[int0].mtu', before: '1400', after: '1450' },
  ],
  [
    'of its prefix',
    {
      routerAdvertisements: [
        { ...advertisement, prefixes: advertisement.prefixes.map((one) => ({ ...one, onLink: false })) },
      ],
    },
    { path: 'routerAdvertisements[int0].prefixes[2001:db8::/64].onLink', before: 'true', after: 'false' },
  ],
  [
    'of a floating address',
    {
      nat: { sources: [source, { ...source, to: undefined }], floating: [{ ...floating, inside: '10.0.0.6' }] },
    },
    { path: 'nat.floating[192.0.2.5].inside', before: '10.0.0.5', after: '10.0.0.6' },
  ],
  [
    'of what is masqueraded',
    {
      nat: {
        sources: [source, { ...source, to: undefined, from: [...source.from, prefix('10.0.1.0/24')] }],
        floating: [floating],
      },
    },
    { path: 'nat.sources[ext0].from[10.0.1.0/24]', before: undefined, after: '10.0.1.0/24' },
  ],
  [
    'of the second hook of one program',
    { hooks: [hook, { ...hook, args: ['--twice'], timeoutMs: 2000 }] },
    { path: 'hooks[/x #2].timeoutMs', before: '1000', after: '2000' },
  ],
])('compareSpecs() tells a change %s in one line', (_, change, line) => {
  expect(compareSpecs(before, { ...before, ...change })).toEqual([line])
})

test('compareSpecs() tells a new first item of a list as no change of the others', () => {
  const after = { ...before, hooks: [{ ...hook, program: '/w' }, ...before.hooks] }
  const paths = compareSpecs(before, after).map(({ path }) => path)
  expect(paths.length).toBeGreaterThan(0)
  expect(paths.filter((path) => !path.startsWith('hooks[/w]'))).toEqual([])
})
