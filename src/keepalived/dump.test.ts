import { expect, test } from 'vitest'
import { parseDump } from './dump.ts'

/** As keepalived 2.2.7 wrote it. */
const primary =
  '[{"data":{"iname":"r1","dont_track_primary":1,"skip_check_adv_addr":0,"strict_mode":0,"vmac_ifname":"","ifp_ifname":"ha0","master_priority":0,"last_transition":1795169468.331591,"garp_delay":1,"garp_refresh":0,"garp_rep":5,"garp_refresh_rep":1,"garp_lower_prio_delay":5,"garp_lower_prio_rep":5,"lower_prio_no_advert":0,"higher_prio_send_advert":0,"vrid":7,"base_priority":100,"effective_priority":90,"vipset":true,"promote_secondaries":false,"adver_int":0.1,"master_adver_int":0.1,"accept":1,"nopreempt":true,"preempt_delay":0,"state":2,"wantstate":2,"version":3,"smtp_alert":false,"notify_deleted":false,"vips":["169.254.0.7\\/24 dev ha0 scope global no_track set"],"evips":["192.0.2.1\\/24 dev qr0 scope global no_track set"],"vroutes":["prepend 198.51.100.0\\/24 via inet 192.0.2.9 dev qr0 proto 152 no_track"],"auth_type":0},"stats":{"advert_rcvd":12,"advert_sent":34,"become_master":2,"release_master":1,"packet_len_err":1,"advert_interval_err":2,"ip_ttl_err":4,"invalid_type_rcvd":8,"addr_list_err":16,"invalid_authtype":32,"authtype_mismatch":64,"auth_failure":128,"pri_zero_rcvd":0,"pri_zero_sent":0}}]'

test('parseDump() reads what keepalived 2.2.7 says of a primary', () => {
  expect(parseDump(primary)).toEqual({
    kind: 'complete',
    views: [
      {
        instance: 'r1',
        says: 'primary',
        effectivePriority: 90,
        addressesSet: true,
        lastTransitionWallMs: 1795169468332,
        primaryPriority: 0,
        stats: {
          advertsReceived: 12,
          advertsSent: 34,
          becamePrimary: 2,
          releasedPrimary: 1,
          advertsRefused: 255,
        },
      },
    ],
  })
})

test.each([
  [0, 'unknown'],
  [1, 'backup'],
  [2, 'primary'],
  [3, 'fault'],
])('parseDump() reads state %i as %s', (state, says) => {
  expect(parseDump(primary.replace('"state":2', `"state":${String(state)}`))).toMatchObject({ views: [{ says }] })
})

test('parseDump() finds every part of a dump incomplete', () => {
  for (let size = 0; size < primary.length; size += 1) {
    expect(parseDump(primary.slice(0, size))).toEqual({ kind: 'incomplete' })
  }
})

test.each([
  ['{}', 'instances must be a list'],
  ['null', 'vrrp must be an object'],
  ['[1]', 'data must be an object'],
  ['[{}]', 'data. must be an object'],
  [primary.replace('"state":2', '"state":4'), 'data.state must be 0 to 3'],
  [primary.replace('"state":2', '"state":"2"'), 'data.state must be a number'],
  [primary.replace('"vipset":true,', ''), 'data.vipset must be true or false'],
  [primary.replace('"advert_sent":34', '"advert_sent":-1'), 'stats.advert_sent must be a number'],
])('parseDump() refuses %#', (text, says) => {
  expect(() => parseDump(text)).toThrow(says)
})
