import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('a webhook is connected to at the address that was judged, whatever the next look-up of its name says', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kwt-rebind-'))
  try {
    writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:2\n')
    const script =
      'ip link set lo up && mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)" && exec "$2" "$3"'
    const program = join(import.meta.dirname, '..', 'support', 'rebinding.ts')
    const words = ['--net', '--mount', 'sh', '-c', script, 'sh', directory, process.execPath, program]
    const said = execFileSync('unshare', words, { encoding: 'utf8', timeout: 30_000 })
    const hint = '(if it is right, name its network under allowNetworks)'
    expect(JSON.parse(said)).toEqual({
      became: [
        'https://rebind.example.net cannot be reached: ENETUNREACH',
        `https://rebind.example.net is not sent to: 127.0.0.1: it is a loopback address ${hint}`,
        `https://rebind.example.net is not sent to: 127.0.0.1: it is a loopback address ${hint}`,
        `https://rebind.example.net is not sent to: 10.0.0.1: it is a private address (RFC 1918) ${hint}`,
      ],
      questions: 4,
      connections: 0,
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
})
