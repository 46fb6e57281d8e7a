import { expect, test } from 'vitest'
import { prefix, routerSpec } from '../../test/support/router.ts'
import { silentInterfaces } from './silence.ts'

test('silentInterfaces() leaves out the HA interface, and those with an IPv6 address of their own', () => {
  const [ha, ext] = routerSpec().interfaces
  if (ha === undefined || ext === undefined) throw new Error('no interfaces')
  const four = { ...ext, name: 'four0', addresses: [prefix('192.0.2.7/24')] }
  const six = { ...ext, name: 'six0', addresses: [prefix('192.0.2.8/24'), prefix('2001:db8::8/64')] }
  expect(silentInterfaces({ haInterface: 'ha0', interfaces: [ha, ext, four, six] })).toEqual(['ext0', 'four0'])
})
