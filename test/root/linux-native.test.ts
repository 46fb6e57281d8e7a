import { closeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, expect, test } from 'vitest'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { native } from '../../src/linux/native.ts'
import { openDescriptor } from '../../src/linux/netlink-socket.ts'
import { run } from '../../src/linux/run.ts'
import { RTNLGRP_LINK } from '../../src/linux/rtnetlink.ts'
import { scratchNamespaces } from './linux-scratch.ts'

const scratch = scratchNamespaces()
afterAll(() => scratch.removeAll())

test('native().drain() holds no more than a batch of what it hands over', async () => {
  const { namespace } = await scratch.make()
  const fd = inNamespace(namespace.fd, () => openDescriptor([RTNLGRP_LINK], false, 32 * 1024 * 1024))
  // The watch begins afterwards: until then everything waits in the socket.
  await run(['ip', '-batch', '-'], { namespaceFd: namespace.fd, stdin: linkChanges(4000) })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().arrayBuffers
  let bytes = 0
  let held = 0
  const handle = native().watch(fd, (_errno, messages) => {
    bytes += messages?.length ?? 0
    if (bytes < 4_000_000 || held > 0) return
    collect()
    collect()
    held = process.memoryUsage().arrayBuffers - before
  })
  try {
    native().drain(handle)
  } finally {
    native().unwatch(handle)
    closeSync(fd)
  }
  expect(bytes).toBeGreaterThan(4_000_000)
  expect(held).toBeLessThan(1_000_000)
})

/** Each is a message of about 1.4 KB. */
const linkChanges = (count: number): string =>
  Array.from({ length: count }, (_, at) => `link set lo mtu ${1000 + (at % 2)}\n`).join('')
