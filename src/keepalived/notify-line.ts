import { parseRouterId, type RouterId } from '../router/spec.ts'

/** What a line of the notify FIFO says. A hint to look: lines are lost when nobody reads, and none says when it was. */
export interface Hint {
  readonly routerId: RouterId
  readonly says: HintWord
  /** Effective priority, 0 to 255. */
  readonly priority: number
}

export type HintWord = 'primary' | 'backup' | 'fault' | 'stop' | 'lower-priority-heard' | 'deleted'

export type NotifyLine =
  { readonly kind: 'hint'; readonly hint: Hint } | { readonly kind: 'rejected'; readonly reason: Rejection }

export type Rejection = 'too-long' | 'no-notify-line' | 'unknown-word' | 'no-router-id' | 'priority-out-of-range'

/** Reads one line without its end (keepalived.conf(5), `vrrp_notify_fifo`). */
export function parseNotifyLine(line: string): NotifyLine {
  const [, name, word, priorityText] = lineForm.exec(line) ?? []
  if (name === undefined || word === undefined || priorityText === undefined) return rejected('no-notify-line')
  const says = words.get(word)
  if (says === undefined) return rejected('unknown-word')
  const routerId = parseRouterId(name)
  if (routerId === undefined) return rejected('no-router-id')
  const priority = Number(priorityText)
  return priority > 255 ? rejected('priority-out-of-range') : { kind: 'hint', hint: { routerId, says, priority } }
}

/**
 * Cuts what is read into lines. Keeps at most one line's worth of bytes between reads: a longer line is rejected once
 * and skipped to its end, so that garbage costs neither memory nor the lines after it.
 */
export class NotifySplitter {
  #rest = ''
  #skipping = false

  push(chunk: Buffer): NotifyLine[] {
    const parts = (this.#rest + chunk.toString('latin1')).split('\n')
    const last = parts.pop() ?? ''
    const lines: NotifyLine[] = []
    for (const part of parts) {
      if (this.#skipping) this.#skipping = false
      else lines.push(part.length > maxLineBytes ? rejected('too-long') : parseNotifyLine(part))
    }
    const overflows = last.length > maxLineBytes
    if (overflows && !this.#skipping) lines.push(rejected('too-long'))
    this.#skipping ||= overflows
    this.#rest = this.#skipping ? '' : last
    return lines
  }
}

/** An instance name has at most 64 bytes, a line at most about 110. */
const maxLineBytes = 256

const lineForm = /^INSTANCE "([^"]*)" ([A-Z_]+) (\d{1,3})$/

const words: ReadonlyMap<string, HintWord> = new Map([
  ['MASTER', 'primary'],
  ['BACKUP', 'backup'],
  ['FAULT', 'fault'],
  ['STOP', 'stop'],
  ['MASTER_RX_LOWER_PRI', 'lower-priority-heard'],
  ['DELETED', 'deleted'],
])

const rejected = (reason: Rejection): NotifyLine => ({ kind: 'rejected', reason })
