import { expect, test } from 'vitest'
import { id } from '../../test/support/router.ts'
import type { MetadataProxy } from '../router/spec.ts'
import { renderProxy } from './metadata.ts'

const proxy: MetadataProxy = {
  on: 'primary',
  listen: [{ address: '169.254.169.254', interface: 'int0' }],
  port: 80,
  socket: '/run/metadata/socket',
  user: 'haproxy',
  group: 'haproxy',
  networkId: 'n1',
}

test('the proxy listens, strips and tells', () => {
  const text = renderProxy(id('r1'), proxy)
  expect(text).toContain('  bind 169.254.169.254:80 interface int0\n')
  expect(text).toContain('  server service unix@/run/metadata/socket\n')
  const strips = text.indexOf('del-header ^x[-_]neutron[-_]router[-_]id$ -m reg')
  expect(strips).toBeGreaterThan(0)
  expect(strips).toBeLessThan(text.indexOf('set-header X-Neutron-Router-ID r1'))
})

test.each<Partial<MetadataProxy>>([
  { socket: '/run/x\n  http-request allow' },
  { socket: '/run/../etc/x' },
  { user: 'root uid 0' },
  { group: 'a b' },
  { networkId: 'n1 if TRUE' },
  { port: 0 },
  { listen: [{ address: '1.2.3.4 ssl', interface: 'int0' }] },
  { listen: [{ address: '1.2.3.4', interface: 'int0 x' }] },
])('nothing of a config reaches haproxy unchecked: %j', (wrong) => {
  expect(() => renderProxy(id('r1'), { ...proxy, ...wrong })).toThrow(
    /^Cannot render the config: the .+ holds what may not be in it$/,
  )
})
