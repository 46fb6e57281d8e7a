import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { AgentStatus } from '../agent/api.ts'
import { anchorsFileOf, type Anchor } from '../anchor/anchor.ts'
import { readAnchors, readOthers, type SignedJournal } from '../anchor/read.ts'
import { countText } from '../base/count.ts'
import { KeepwardError } from '../base/error.ts'
import { readAnchorsPath } from '../config/read.ts'
import { Prover, type Proof } from '../journal/proof.ts'
import { journalIdOf, proveFile } from '../journal/prove-file.ts'
import { canonicalJson, type JsonObject } from '../journal/record.ts'
import { timeText } from '../text/table.ts'
import { exportRecords } from './audit-export.ts'
import { call } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { print } from './print.ts'
import { recordsOfAgent } from './records.ts'

/** What of a proof a person is told: the journal, held against root's signatures. */
export interface AuditView extends Proof {
  /** The key that signed last; undefined: nothing of this journal is signed. */
  readonly key: string | undefined
  readonly anchors: number
  readonly anchorsFile: string
  /** Journals of this agent that root has signed for, and that are not here. */
  readonly missing: readonly SignedJournal[]
}

/** A new anchor, and a retention that goes on meanwhile, have come by then. */
const secondLookMs = 6000

/** `keepward audit`: hold the journal against the anchors that root signed, or print all of it as JSON lines. */
export async function audit(globals: Globals, options: Record<string, unknown>): Promise<number> {
  const isExport = options['export'] === true
  if (isExport === (options['verify'] === true))
    throw new KeepwardError('request-invalid', 'audit needs one of --verify and --export')
  const file = typeof options['file'] === 'string' ? resolve(options['file']) : undefined
  return isExport ? exportRecords(globals, options, file) : verify(globals, file, options['anchors'])
}

async function verify(globals: Globals, file: string | undefined, anchors: unknown): Promise<number> {
  const named = typeof anchors === 'string' ? resolve(anchors) : undefined
  const place = named === undefined ? await readAnchorsPath(resolve(globals.config)) : ''
  const what = file === undefined ? await journalOfAgent(globals) : { journal: journalIdOf(file), agent: undefined }
  const subject = {
    ...what,
    file,
    anchorsFile: named ?? join(place, anchorsFileOf(what.journal)),
    isNamed: named !== undefined,
  }
  let view = await look(globals, subject)
  // Of a journal that is written to, what was found may be no more than a signature that is on its way.
  if (view.broken !== undefined && file === undefined) {
    await pause(secondLookMs)
    view = await look(globals, subject)
  }
  print(globals, view, renderAudit)
  if (!view.ok) return ExitStatus.critical
  return view.proven === undefined ? ExitStatus.degraded : ExitStatus.ok
}

interface Subject {
  readonly journal: string
  readonly agent: string | undefined
  /** Undefined: the agent's. */
  readonly file: string | undefined
  readonly anchorsFile: string
  /** By the caller, who then asks for this journal alone. */
  readonly isNamed: boolean
}

async function look(globals: Globals, subject: Subject): Promise<AuditView> {
  const { journal, file, anchorsFile: path } = subject
  // Anchors first: what is signed meanwhile would be of records that come later.
  const { anchors, fault } = await readAnchors(path, journal)
  const proof = file === undefined ? await proveAgent(globals, journal, anchors) : proveFile(file, anchors)
  const broken = proof.broken ?? (fault === undefined ? undefined : faultyAfter(anchors, fault))
  const last = anchors.at(-1)
  const missing = subject.isNamed ? [] : await missingBeside(subject, last)
  const ok = broken === undefined && missing.length === 0
  return { ...proof, ok, broken, key: last?.key, anchors: anchors.length, anchorsFile: path, missing }
}

/** Whoever removes a journal has the agent begin another. Beside a file that somebody names, one that was signed later is no news. */
async function missingBeside(
  { anchorsFile, agent, file }: Subject,
  last: Anchor | undefined,
): Promise<SignedJournal[]> {
  const others = await readOthers(anchorsFile, agent ?? last?.agent)
  return others.filter(({ wallMs }) => file === undefined || last === undefined || wallMs <= last.wallMs)
}

const faultyAfter = (anchors: readonly Anchor[], fault: string) => ({
  ok: false as const,
  brokenAtSeq: (anchors.at(-1)?.seq ?? 0) + 1,
  reason: `the anchors that should vouch for it are not root’s: ${fault}`,
})

async function journalOfAgent(globals: Globals): Promise<Pick<Subject, 'journal' | 'agent'>> {
  const { journal, id } = (await call<AgentStatus>(globals, 'GET', '/v1/status')).agent
  return { journal, agent: id }
}

/** The agent hands over the records; whether they are what was signed is found out here. */
async function proveAgent(globals: Globals, journal: string, anchors: readonly Anchor[]): Promise<Proof> {
  const prover = new Prover(journal, anchors)
  for await (const { hash, ...rest } of recordsOfAgent(globals)) {
    const record = canonicalJson(rest as JsonObject)
    const { seq, kind, at } = rest
    if (!prover.add({ seq, router: rest.router ?? null, kind, wallMs: at.wallMs, hash, record })) break
  }
  return prover.end()
}

/** What was found, and how far it is proven. */
function renderAudit(view: AuditView): string {
  return [proofText(view), ...view.missing.map(missingText)].join('\n')
}

const missingText = ({ journal, file, seq, wallMs }: SignedJournal): string =>
  `Journal ${journal}, signed up to record ${String(seq)} at ${timeText(wallMs)}, is not here: it was removed, or moved aside. ` +
  `Once you know why, move ${file} into another directory, with anchor.pub beside it.`

function proofText({ broken, records, fromSeq, toSeq, proven, key, anchors, anchorsFile }: AuditView): string {
  const walked =
    broken === undefined
      ? `The journal is whole: ${countText(records, 'record')}, ${fromSeq} to ${toSeq}.`
      : `The journal is broken at record ${broken.brokenAtSeq}: ${broken.reason}`
  const signed = `${countText(anchors, 'anchor')} in ${anchorsFile}`
  if (proven === undefined) return `${walked}\nNothing of it is proven: ${signed}.`
  const rest = toSeq > proven.seq ? `; the ${countText(toSeq - proven.seq, 'record')} after it only by the chain` : ''
  const by = key === undefined ? '' : ` with key ${key}`
  return `${walked}\nProven up to record ${proven.seq}, signed ${timeText(proven.wallMs)}${by}${rest}. ${signed}.`
}
