import { expect, test } from 'vitest'
import { changeBetween, reloadPauseMs } from './meaning.ts'

const text = (excluded: string, priority: number) => `vrrp_instance "r1" {
    priority ${String(priority)}
    virtual_ipaddress {
        169.254.0.7/24 dev ha0
    }
${excluded}}
`
const one = '    virtual_ipaddress_excluded {\n        192.0.2.1/24 dev qr0 no_track\n    }\n'
const route = '    virtual_routes {\n        0.0.0.0/0 dev qr0 protocol 152 no_track\n    }\n'

test('changeBetween() is none for the same text', () => {
  expect(changeBetween(text(one, 100), text(one, 100))).toBe('none')
})

test('changeBetween() is hitless when only excluded addresses or routes differ', () => {
  expect(changeBetween(text('', 100), text(one, 100))).toBe('hitless')
  expect(changeBetween(text(one, 100), text(one.replace('.1/', '.2/') + route, 100))).toBe('hitless')
  expect(changeBetween(text(one + route, 100), text('', 100))).toBe('hitless')
})

test('changeBetween() is hitless when only the announcements differ', () => {
  const announced = 'vrrp_instance "r1" {\n    garp_master_repeat 2\n    higher_prio_send_advert true\n'
  expect(changeBetween(text(one, 100), text(one, 100).replace('vrrp_instance "r1" {\n', announced))).toBe('hitless')
})

test('changeBetween() may move the role when anything else differs', () => {
  expect(changeBetween(text(one, 100), text(one, 101))).toBe('may-move-role')
  const moved = text(one, 100).replace('169.254.0.7', '169.254.0.8')
  expect(changeBetween(text(one, 100), moved)).toBe('may-move-role')
})

test('reloadPauseMs() is one and a half advertisement intervals', () => {
  expect(reloadPauseMs({ advertisementIntervalMs: 2000 })).toBe(3000)
})
