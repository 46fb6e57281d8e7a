import { errnoOf, KeepwardError, sentenceOf } from '../base/error.ts'
import type { Subject } from './subject.ts'

export type Status = 'ok' | 'warning' | 'failed' | 'unknown'

/** What a check found; whatever is not ok comes with what an operator can do. */
export type Answer =
  | { readonly status: 'ok'; readonly found: string }
  | { readonly status: Exclude<Status, 'ok'>; readonly found: string; readonly fix: string }

/** One thing that a host must have. It changes nothing outside the scratch namespace, or undoes what it did. */
export interface Check {
  readonly name: string
  readonly wanted: string
  /** What it cannot do without; `scratch` needs root too. */
  readonly needs?: 'root' | 'scratch'
  readonly look: (subject: Subject) => Answer | Promise<Answer>
}

export interface Finding {
  readonly name: string
  readonly status: Status
  readonly found: string
  readonly wanted: string
  readonly fix: string | undefined
}

export interface Examination {
  readonly findings: readonly Finding[]
  /** A check did not end within its deadline; what it waits for may keep the process from ending by itself. */
  readonly abandoned: boolean
}

/** Longer than any single command or kernel request of a check may take when all is well. */
const deadlineMs = 6000

/** Makes every check, one after the other, since they share a namespace; none can hold up the others. */
export async function examine(
  checks: readonly Check[],
  subject: Subject,
  timeoutMs = deadlineMs,
): Promise<Examination> {
  const findings: Finding[] = []
  let abandoned = false
  for (const { name, wanted, ...check } of checks) {
    const answer = lacking(check.needs, subject) ?? (await within(timeoutMs, attempt(check, subject)))
    abandoned ||= answer === 'late'
    findings.push({ name, wanted, fix: undefined, ...(answer === 'late' ? overdue(timeoutMs) : answer) })
  }
  return { findings, abandoned }
}

export const ok = (found: string): Answer => ({ status: 'ok', found })
export const warning = (found: string, fix: string): Answer => ({ status: 'warning', found, fix })
export const failed = (found: string, fix: string): Answer => ({ status: 'failed', found, fix })
export const unknown = (found: string, fix: string): Answer => ({ status: 'unknown', found, fix })

const asRoot = 'run it as root, as the agent will: sudo keepward doctor'

function lacking(needs: Check['needs'], { root, scratch }: Subject): Answer | undefined {
  if (needs !== undefined && !root) return unknown('skipped: needs root', asRoot)
  if (needs !== 'scratch' || scratch.kind === 'made') return undefined
  return unknown('skipped: there is no namespace to try it in', 'mend the check "namespaces" first')
}

async function attempt({ look }: Pick<Check, 'look'>, subject: Subject): Promise<Answer> {
  try {
    return await look(subject)
  } catch (error) {
    if (!subject.root && isDenied(error)) return unknown(`skipped: ${sentenceOf(error)}`, asRoot)
    return failed(sentenceOf(error), fixFor(error))
  }
}

const isDenied = (error: unknown): boolean => ['EPERM', 'EACCES'].includes(errnoOf(error) ?? '')

function fixFor(error: unknown): string {
  if (error instanceof KeepwardError) return error.hint
  return isDenied(error) ? 'see what the check "capabilities" finds' : 'mend what the kernel or the program says'
}

/** What the promise gives, or `late` after so long; the promise goes on. */
export async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T | 'late'> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>()
  const timer = setTimeout(resolve, timeoutMs, 'late')
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

const overdue = (timeoutMs: number): Answer =>
  failed(
    `no answer within ${String(timeoutMs / 1000)} s`,
    'find out what it waits for: a disk, a name service or the kernel',
  )
