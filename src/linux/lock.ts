import { closeSync, constants, ftruncateSync, readSync, writeSync } from 'node:fs'
import { KeepwardError } from '../base/error.ts'
import { native } from './native.ts'
import type { SafeDir } from './safe-dir.ts'
import { unsafe } from './safe-error.ts'

/** An exclusive claim on a directory; the kernel takes it back when the process ends, however that happens. */
export interface Lock extends Disposable {
  release(): void
}

/** Throws `state-in-use`, naming the holder, when another process has it. */
export function lockDirectory(dir: SafeDir, name = 'lock'): Lock {
  const fd = dir.openFile(name, constants.O_RDWR | constants.O_CREAT)
  if (!native().flock(fd)) {
    const holder = readPid(fd)
    closeSync(fd)
    throw new KeepwardError('state-in-use', `Another process${holder} uses ${dir.path}`, {
      hint: 'only one process may use it; give the other one a directory of its own',
    })
  }
  if (readText(fd) === undefined) {
    closeSync(fd)
    throw unsafe(`${dir.pathOf(name)} holds something else than a pid; it is left alone`)
  }
  // The file stays when the lock goes: a name that is removed and made anew would have two locks.
  writePid(fd)
  let held = true
  const release = () => {
    if (held) closeSync(fd)
    held = false
  }
  return { release, [Symbol.dispose]: release }
}

/** For the message of whoever comes too late: on a full disk the lock holds without it. */
function writePid(fd: number): void {
  try {
    ftruncateSync(fd, 0)
    writeSync(fd, `${process.pid}\n`, 0)
  } catch {
    // The file is empty then.
  }
}

function readPid(fd: number): string {
  const text = readText(fd)
  return text === undefined || text === '' ? '' : ` (pid ${text})`
}

/** Undefined when it is no lock's: empty, or digits. */
function readText(fd: number): string | undefined {
  const bytes = Buffer.alloc(16)
  const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0)).trim()
  return /^[0-9]*$/.test(text) ? text : undefined
}
