import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'

// A process of its own: `swapper.ts DIRECTORY OUTSIDE NAME...`. Swaps what bears the names in the directory for links to what
// lies outside, as fast as it can, until it is killed. It says "ready" once it has begun. What fails was not allowed.

const [directory = '', outside = '', ...names] = process.argv.slice(2)
/** A directory that is swapped itself is moved away with all that it holds, so that who has it goes on in it. */
const swapsWhole = names.includes('state')
const store = join(directory, 'swapper-store')
/** Making a journal takes as long as a thousand swaps. */
const isSlow = names.includes('journal.sqlite')
const never = new Int32Array(new SharedArrayBuffer(4))

const tricks: readonly ((path: string, turn: number) => void)[] = [
  (path) => {
    symlinkSync(join(outside, 'file'), path)
  },
  (path) => {
    linkSync(join(outside, 'file'), path)
  },
  (path) => {
    symlinkSync(join(outside, 'pid'), path)
  },
  (path) => {
    symlinkSync(join(outside, 'pipe'), path)
  },
  (path) => {
    symlinkSync(join(outside, 'journal.sqlite'), path)
  },
  (path) => {
    symlinkSync(join(outside, 'directory'), path)
  },
  (path) => {
    symlinkSync(join(outside, 'missing'), path)
  },
  (path) => {
    linkSync(join(outside, 'fifo'), path)
  },
  (path) => {
    linkSync(join(outside, 'socket'), path)
  },
  (path) => {
    mkdirSync(path, 0o700)
  },
  (path) => {
    closeSync(openSync(path, 'wx', 0o666))
  },
  (path) => {
    linkSync(join(store, 'fifo'), path)
  },
  (path, turn) => {
    const away = `${path}.away${swapsWhole ? String(turn) : ''}`
    attempt(() => {
      clear(away)
    })
    renameSync(path, away)
    symlinkSync(join(outside, 'directory'), path)
  },
]

attempt(() => {
  mkdirSync(store, 0o700)
  spawnSync('mkfifo', ['-m', '666', join(store, 'fifo')])
})
process.stdout.write('ready\n')
for (let turn = 0, seed = process.pid; ; turn += 1) {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
  const path = join(directory, names[(seed >> 8) % names.length] ?? '')
  const trick = tricks[(seed >> 16) % tricks.length]
  if (isSlow) Atomics.wait(never, 0, 0, seed % 192)
  // Now and then it stands aside, so that what is attacked gets past its first step.
  if (seed % 3 !== 0)
    attempt(() => {
      clear(path)
    })
  if (seed % 5 !== 0) attempt(() => trick?.(path, turn))
}

function attempt(body: () => void): void {
  try {
    body()
  } catch {
    // It was not allowed, or the other was quicker.
  }
}

/** Never through a link. */
function clear(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (swapsWhole) throw error
    for (const name of readdirSync(path))
      attempt(() => {
        unlinkSync(join(path, name))
      })
    rmdirSync(path)
  }
}
