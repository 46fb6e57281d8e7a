import { uptime } from 'node:os'
import type { Clock } from '../base/instant.ts'
import { findKeepalived, scanKeepalived, type ProcessScan } from '../keepalived/adopt.ts'
import type { KeepalivedHome } from '../keepalived/home.ts'
import { viewKeepalived, type ProcessView } from '../keepalived/process.ts'
import { openProcess, type ProcessHandle } from '../linux/process.ts'
import type { ProcessEvidence } from '../router/evidence.ts'

/** One look at /proc serves all routers that look within so long. */
const scanValidMs = 200
/** USER_HZ, the unit of a process's start time (proc_pid_stat(5)). */
const ticksPerSecond = 100

/**
 * The keepalived of one router: held by pidfds, so that its end is told at once and its pid is never mistaken for
 * another's. `onEnded`: the parent or the VRRP child ended.
 */
export class Supervised {
  #process: ProcessHandle | undefined
  #loaded: string | undefined
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

  #evidence(view: ProcessView): ProcessEvidence {
    const asOf = this.#clock()
    switch (view.kind) {
      case 'absent':
        return { kind: 'absent', asOf }
      case 'orphaned':
        // It gives the addresses back and ends by itself; until then nothing may be started beside it.
        return { ...view, kind: 'running', pid: view.childPid, startedAt: asOf, loadedDigest: this.#loaded, asOf }
      case 'running': {
        const livedMs = Math.max(0, uptime() - view.startTicks / ticksPerSecond) * 1000
        const startedAt = { wallMs: asOf.wallMs - livedMs, monoMs: asOf.monoMs - livedMs }
        const { pid, childPid, stopped } = view
        return { kind: 'running', pid, childPid, stopped, startedAt, loadedDigest: this.#loaded, asOf }
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

function recentScan(): ProcessScan {
  const now = performance.now()
  if (scanned === undefined || now - scanned.at > scanValidMs) scanned = { scan: scanKeepalived(), at: now }
  return scanned.scan
}
