import { SafeDir } from '../../src/linux/safe-dir.ts'
import { systemClock } from '../../src/base/instant.ts'
import { readSecret } from '../../src/linux/read-secret.ts'
import { readRootText } from '../../src/linux/root-file.ts'
import { openJournal } from '../../src/journal/journal.ts'
import { openSink } from '../../src/report/open.ts'
import { Reporting } from '../../src/report/reporting.ts'
import type { SinkSettings } from '../../src/report/settings.ts'
import { heartbeat } from './far-end.ts'
import { routerOf } from './neutron-sink.ts'

/** What it is told in its one argument, as JSON. */
export interface WriterTask {
  readonly directory: string
  readonly sinks: readonly SinkSettings[]
  readonly routers: number
  /** Their ids are UUIDs, `routerOf` of the number. */
  readonly uuids?: true
  /** It writes until the journal has so many transitions, */
  readonly transitions: number
  /** one each so many milliseconds at most. */
  readonly everyMs: number
}

// A process that can be killed: a journal, its sinks, and routers that change their roles. It says `current` once all is written and every sink
// has it, as often as that becomes so, and lives until it is ended.

const task = JSON.parse(process.argv[2] ?? '') as WriterTask
const routers = Array.from({ length: task.routers }, (_unused, at) =>
  task.uuids === true ? routerOf(at) : `router-${String(at)}`,
)
const dir = SafeDir.open(task.directory, { mode: 'any' })
const journal = await openJournal({
  ...{ dir, name: 'journal.db', agent: 'host1', boot: 'boot1', clock: systemClock },
  retain: { days: 30, sizeBytes: 256e6 },
})
const reporting = new Reporting({
  settings: task.sinks,
  open: openSink,
  tools: {
    ...{ agent: 'host1', version: '0.1.0' },
    readSecret: (source) => (source.kind === 'vault' ? Promise.reject(new Error('no Vault')) : readSecret(source)),
    readFile: (path) => readRootText(path, 1e6),
  },
  journal,
  routers: () => new Set(routers),
  beat: () => heartbeat,
  heldUntilMs: () => undefined,
})

const startedMs = performance.now()
let begun = 0
const written = () => journal.status.durableSeq + journal.status.pending
const write = setInterval(() => {
  // A disk that does not answer must not fill the memory.
  for (; begun < (performance.now() - startedMs) / task.everyMs && journal.status.pending < 1000; begun++) {
    if (written() >= task.transitions) return
    const router = routers[Math.floor(Math.random() * routers.length)] ?? ''
    const to = Math.random() < 0.5 ? 'primary' : 'backup'
    const body = { from: 'unknown', to, lastedMs: null, cause: { kind: 'kernel', text: 'of the test' } }
    journal.append({ kind: 'transition', router, at: systemClock(), body })
  }
}, 1)

/** That nothing waits does not say it: a sink that has just begun has read nothing yet. */
async function isCurrent(): Promise<boolean> {
  const { durableSeq, pending } = journal.status
  if (durableSeq < task.transitions || pending > 0) return false
  const seqs = await Promise.all(task.sinks.map(({ name }) => journal.cursor(name)))
  return seqs.every((seq) => seq >= durableSeq)
}

let said = false
setInterval(() => {
  void isCurrent().then(
    (is) => {
      if (is && !said) process.stdout.write('current\n')
      said = is
    },
    () => undefined,
  )
}, 50)
process.on('SIGTERM', () => {
  clearInterval(write)
  void reporting[Symbol.asyncDispose]()
    .then(() => journal.close(2000))
    .then(() => process.exit(0))
})
