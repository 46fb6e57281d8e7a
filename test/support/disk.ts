import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const run = (command: string, ...words: string[]) => execFileSync(command, words, { timeout: 10_000, stdio: 'pipe' })

/** A small ext4 in a file, for what a full or stalled disk does. */
export class Disk {
  readonly #home = mkdtempSync(join(tmpdir(), `kwt-${String(process.pid)}-`))
  readonly #mounted: string[] = []
  #frozen: string | undefined

  /** Mount it at a directory that is made for it. Without a journal of its own, so that a freeze is short. */
  mount(at: string, size = '16M'): void {
    mkdirSync(at, { recursive: true, mode: 0o700 })
    const image = join(this.#home, 'image')
    run('truncate', '-s', size, image)
    run('mkfs.ext4', '-q', '-O', '^has_journal', image)
    run('mount', '-o', 'loop', image, at)
    chmodSync(at, 0o700)
    this.#mounted.push(at)
  }

  /** Leave no byte free. */
  fill(): void {
    for (let size = 2 ** 20; size >= 512;) {
      try {
        writeFileSync(this.#ballast(), Buffer.alloc(size), { flag: 'a' })
      } catch {
        size /= 2
      }
    }
  }

  free(): void {
    rmSync(this.#ballast(), { force: true })
  }

  /** Every write waits until {@link thaw}. */
  freeze(): void {
    const [at] = this.#mounted
    if (at === undefined) throw new Error('The disk is not mounted')
    run('fsfreeze', '-f', at)
    this.#frozen = at
  }

  thaw(): void {
    if (this.#frozen !== undefined) run('fsfreeze', '-u', this.#frozen)
    this.#frozen = undefined
  }

  /** A process that still writes is waited for by the kernel: the mount is only hidden from others at once. */
  remove(): void {
    this.thaw()
    for (const at of this.#mounted.splice(0)) run('umount', '-l', at)
    rmSync(this.#home, { recursive: true, force: true })
  }

  #ballast(): string {
    return join(this.#mounted[0] ?? this.#home, 'ballast')
  }
}
