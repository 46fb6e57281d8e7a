import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

/** Who wants something on the disk every 20 ms, 4 KB at a time, until he is asked how long each took, in milliseconds. */
const everyMs = 20
/** Written again and again: the file does not grow as it is measured. */
const blocks = 256
const file = openSync(join(process.argv[2] ?? '', 'disk-writer'), 'w')
const block = Buffer.alloc(4096)
writeSync(file, Buffer.alloc(blocks * block.length))
fdatasyncSync(file)
const times: number[] = []
process.on('message', () => {
  process.send?.(times, () => process.exit())
})
process.on('disconnect', () => process.exit())
let wantedMs = performance.now()
for (let count = 0; ; count++) {
  await wait(Math.max(0, wantedMs - performance.now()))
  const beganMs = performance.now()
  writeSync(file, block, 0, block.length, (count % blocks) * block.length)
  fdatasyncSync(file)
  // What was wanted while the disk took long has waited too, and is on it with this one.
  for (; wantedMs <= beganMs; wantedMs += everyMs) times.push(performance.now() - wantedMs)
}
