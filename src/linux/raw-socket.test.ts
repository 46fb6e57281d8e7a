import { expect, test } from 'vitest'
import { rawSocketInodes } from './raw-socket.ts'

/** As Linux 6.18 wrote it of a keepalived with unicast peers, and of ping. */
const raw = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 108270 2 000000001dac5100 0
 200: 00000000:0070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 108278 2 000000001dac517f 0
 200: 0100090A:0070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 108277 2 000000005da0fb97 0
`
const raw6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 112: 000080FE000000000000000001005256:0070 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 168402 2 00000000aa22b7d1 0
`

test('rawSocketInodes() reads the sockets of the protocol, of IPv4 and of IPv6', () => {
  expect(rawSocketInodes(raw, 112)).toEqual(['108278', '108277'])
  expect(rawSocketInodes(raw6, 112)).toEqual(['168402'])
  expect(rawSocketInodes(raw, 58)).toEqual([])
})
