import { setTimeout as wait } from 'node:timers/promises'
import type { EventView } from '../agent/api.ts'
import { KeepwardError } from '../base/error.ts'
import { downLab, Lab } from './lab.ts'
import { renderLab, seeLab, type Ask, type LabView } from './overview.ts'
import { startProbe } from './probe.ts'
import { renderTimeline, type Moment } from './timeline.ts'
import type { LabShape } from './topology.ts'

const settleMs = 60_000
const lookEveryMs = 100

/** Bring a lab up, kill the host of a primary, tell the failover step by step, heal, clean up. */
export async function demo(shape: LabShape, program: string, ask: Ask, stay: boolean): Promise<void> {
  const say = (text: string) => {
    process.stdout.write(`${text}\n`)
  }
  let done = false
  const interrupted = () => void downLab(shape.name, shape.directory).finally(() => process.exit(130))
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    say(`Starting ${String(shape.hosts)} hosts and ${String(shape.routers)} routers, each router on every host ...`)
    const lab = await Lab.up(shape, program)
    say(`${renderLab(await settled(lab, ask, allHosts))}\n`)
    await showFailover(lab, ask, say)
    say('Starting the killed host again; nopreempt lets the new primary keep its role ...')
    for (const host of lab.hosts) lab.startHost(host.name)
    say(`${renderLab(await settled(lab, ask, allHosts))}\n`)
    done = stay
    if (stay)
      say(`The lab stays up. Look: keepward lab status. Break it: keepward lab --help. Remove it: keepward lab down.`)
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted)
    if (!done) {
      const { processes, namespaces } = await downLab(shape.name, shape.directory)
      say(`Cleaned up: ${String(processes)} processes and ${String(namespaces)} namespaces removed.`)
    }
  }
}

async function showFailover(lab: Lab, ask: Ask, say: (text: string) => void): Promise<void> {
  const [router] = lab.routers
  if (router === undefined) return
  const before = await seeLab(lab, ask)
  const victim = primaryOf(before, router.id)
  say(
    `A client pings ${router.address} (${router.id}) every 10 ms. Killing ${victim}, where ${router.id} is primary ...`,
  )
  const probe = startProbe(lab.shape.name, router.address, { intervalMs: 10, maxSeconds: 60 })
  await probe.answering
  await wait(500)
  const killedMs = Date.now()
  await lab.killHost(victim)
  const after = await settled(lab, ask, (view) => view.routers.every(({ primaries }) => primaries === 1))
  await wait(500)
  const result = await probe.stop()
  const successor = primaryOf(after, router.id)
  const moments: Moment[] = [
    { atMs: result.gapFromMs, where: 'client', what: `last answer from ${router.address}` },
    { atMs: killedMs, where: victim, what: 'killed: agent, every keepalived, both links' },
    { atMs: result.gapUntilMs, where: 'client', what: `${router.address} answers again` },
  ]
  for (const host of lab.hosts) {
    const records = await ask<EventView[]>(host.socket, `/v1/events?router=${router.id}&newestFirst=true&limit=20`)
    for (const { at, kind, body, seq } of records ?? []) {
      if (kind !== 'transition' || at.wallMs < killedMs - 100) continue
      const cause = body['cause'] as { readonly text: string }
      const what = `${String(body['from'])} -> ${String(body['to'])}: ${cause.text} (journal ${String(seq)})`
      moments.push({ atMs: at.wallMs, where: host.name, what })
    }
  }
  say(`\n${renderTimeline(moments, killedMs)}`)
  say(`\nThe address was gone for ${result.longestGapMs.toFixed(0)} ms (pings 10 ms apart); ${successor} has it now.\n`)
  say(`${renderLab(after)}\n`)
}

const allHosts = (view: LabView): boolean =>
  view.hosts.every(({ answers }) => answers) &&
  view.routers.every(
    ({ primaries, instances }) =>
      primaries === 1 && instances.every(({ status }) => status?.role === 'primary' || status?.role === 'backup'),
  )

function primaryOf(view: LabView, id: string): string {
  const router = view.routers.find((one) => one.id === id)
  const host = router?.instances.find(({ status }) => status?.role === 'primary')?.host
  if (host === undefined) throw new KeepwardError('lab-failed', `No host is primary for ${id}`)
  return host
}

async function settled(lab: Lab, ask: Ask, good: (view: LabView) => boolean): Promise<LabView> {
  const deadline = performance.now() + settleMs
  for (;;) {
    const view = await seeLab(lab, ask)
    if (good(view)) return view
    if (performance.now() > deadline) {
      throw new KeepwardError('lab-failed', `The lab did not settle within 60 s:\n${renderLab(view)}`, {
        hint: `the agents' logs are in ${lab.shape.directory}/h*/agent.log`,
      })
    }
    await wait(lookEveryMs)
  }
}
