import { uptime } from 'node:os'
import type { Clock } from '../base/instant.ts'
import { findKeepalived, scanKeepalived, type ProcessScan } from '../keepalived/adopt.ts'
import type { KeepalivedHome } from '../keepalived/home.ts'
import { viewKeepalived, type ProcessView } from '../keepalived/process.ts'
import { isDeaf } from '../keepalived/vrrp-socket.ts'
import { sharesControlGroup } from '../linux/control-group.ts'
import { openProcess, type ProcessHandle } from '../linux/process.ts'
import type { ProcessEvidence } from '../router/evidence.ts'

/** One look at /proc serves all routers that look within so long: nobody but us starts a keepalived with our arguments. */
const scanValidMs = 2000
/** USER_HZ, the unit of a process's start time (proc_pid_stat(5)). */
const ticksPerSecond = 100

/**
 * The keepalived of one router: held by pidfds, so that its end is told at once and its pid is never mistaken for
 * another's. `onEnded`: the parent or the VRRP child ended.
 */
export class Supervised {
  #process: ProcessHandle | undefined
  #loaded: string | undefined
  #tied: { readonly pid: number; readonly tied: boolean } | undefined
  #child: { readonly pid: number; readonly handle: ProcessHandle } | undefined
  readonly #clock: Clock
  readonly #onEnded: () => void

  constructor(clock: Clock, onEnded: () => void) {
    this.#clock = clock
    this.#onEnded = onEnded
  }

  get process(): ProcessHandle | undefined {
    return this.#process?.alive() === true ? this.#process : undefined
  }

  get loaded(): string | undefined {
    return this.#loaded
  }

  /** Take a process that was just started, adopted, or told to read another config. */
  hold(process: ProcessHandle, loaded: string | undefined): void {
    this.#loaded = loaded
    if (process === this.#process) return
    this.release()
    this.#process = process
    process.onEnd(this.#onEnded)
  }

  release(): void {
    this.#process?.close()
    this.#process = undefined
    this.#releaseChild()
  }

  /**
   * Look now; adopt a keepalived that an earlier run of the agent started. `namespaceInode` undefined: the namespace has
   * lost its name, and the process may live on in it.
   */
  async look(home: KeepalivedHome, namespaceInode: number | undefined): Promise<ProcessEvidence> {
    if (this.process === undefined) {
      this.release()
      const found = await findKeepalived(home, namespaceInode, recentScan)
      if (found !== undefined) this.hold(found.process, found.loaded)
    }
    const view = await viewKeepalived(home, this.#process)
    this.#watchChild(view)
    return this.#evidence(view)
  }

  /** The processes as they are held, without a look at anything else; undefined when that does not suffice. */
  glance(): ProcessEvidence | undefined {
    const parent = this.process?.stat()
    const child = this.#child?.handle.stat()
    if (parent === undefined || child === undefined || child.state === 'Z' || child.parentPid !== parent.pid)
      return undefined
    const stopped = [parent, child].some(({ state }) => state === 'T' || state === 't')
    const { pid, startTicks } = parent
    return this.#evidence({ kind: 'running', pid, childPid: child.pid, stopped, deaf: isDeaf(child.pid), startTicks })
  }

  #evidence(view: ProcessView): ProcessEvidence {
    const asOf = this.#clock()
    switch (view.kind) {
      case 'absent':
        return { kind: 'absent', asOf }
      case 'orphaned':
        // It gives the addresses back and ends by itself; until then nothing may be started beside it.
        return {
          ...view,
          kind: 'running',
          pid: view.childPid,
          deaf: false,
          tied: false,
          startedAt: asOf,
          loadedDigest: this.#loaded,
          asOf,
        }
      case 'running': {
        const livedMs = Math.max(0, uptime() - view.startTicks / ticksPerSecond) * 1000
        const startedAt = { wallMs: asOf.wallMs - livedMs, monoMs: asOf.monoMs - livedMs }
        const { pid, childPid, stopped, deaf } = view
        if (this.#tied?.pid !== pid) this.#tied = { pid, tied: sharesControlGroup(pid) }
        const { tied } = this.#tied
        return { kind: 'running', pid, childPid, stopped, deaf, tied, startedAt, loadedDigest: this.#loaded, asOf }
      }
    }
  }

  #watchChild(view: ProcessView): void {
    const pid = view.kind === 'absent' ? undefined : view.childPid
    if (pid === this.#child?.pid) return
    this.#releaseChild()
    const handle = pid === undefined ? undefined : openProcess(pid)
    if (pid === undefined || handle === undefined) return
    this.#child = { pid, handle }
    handle.onEnd(this.#onEnded)
  }

  #releaseChild(): void {
    this.#child?.handle.close()
    this.#child = undefined
  }
}

let scanned: { readonly scan: ProcessScan; readonly at: number } | undefined

/** Who runs with which arguments, as of at most two seconds ago; an ended process is found out by its pidfd. */
export function recentScan(): ProcessScan {
  const now = performance.now()
  if (scanned === undefined || now - scanned.at > scanValidMs) scanned = { scan: scanKeepalived(), at: now }
  return scanned.scan
}
