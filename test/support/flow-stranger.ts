import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { conntrackd } from '../../src/reactions/conntrackd.ts'
import { fabricNamespace, prefixOf } from '../../src/lab/topology.ts'
import { inNamespace } from '../../src/linux/in-namespace.ts'
import { createNamespace, openNamespace } from '../../src/linux/netns.ts'
import { ip, type LabUnderTest } from './lab.ts'
import { routerSpec } from './router.ts'
import { until } from './until.ts'

/** A flow that nobody has, in the words of conntrack(8). */
export const madeUpFlow = (from: string): string[] =>
  `-p tcp -s ${from} -d 198.51.100.250 --sport 7777 --dport 80 --state ESTABLISHED -t 600 -u ASSURED,SEEN_REPLY`.split(
    ' ',
  )

/** Somebody with a conntrackd of his own, on the HA link and on the one outside. */
export class Stranger implements Disposable {
  readonly #it: LabUnderTest
  readonly #victim: string
  readonly #namespace: string
  readonly #directory = mkdtempSync('/tmp/kwt-flows-')

  private constructor(it: LabUnderTest, victim: string) {
    this.#it = it
    this.#victim = victim
    this.#namespace = `${prefixOf(it.name)}stranger`
  }

  static async on(it: LabUnderTest, victim: string): Promise<Stranger> {
    const made = new Stranger(it, victim)
    await createNamespace(made.#namespace)
    for (const link of ['ha', 'ext']) {
      const ends = ['type', 'veth', 'peer', 'name', link, 'netns', made.#namespace]
      ip('-n', fabricNamespace(it.name), 'link', 'add', `${link}-x`, ...ends)
      ip('-n', fabricNamespace(it.name), 'link', 'set', `${link}-x`, 'master', link, 'up')
      ip('-n', made.#namespace, 'link', 'set', link, 'up')
    }
    return made
  }

  get peerOfVictim(): string {
    return haAddressOf(this.#it.other(this.#victim))
  }

  /** Tell the victim, from that address, of a flow from `flowFrom` that nobody has; it is sent when this resolves. */
  async tells(link: 'ha' | 'ext', source: string, flowFrom: string): Promise<void> {
    const victim = haAddressOf(this.#victim)
    const pathOf = (name: string) => join(this.#directory, name)
    const spec = routerSpec({ connectionTracking: { source, peer: victim, port: 3780 }, haInterface: link })
    const plan = conntrackd.plan(spec, 'primary', pathOf)
    if (plan === undefined) throw new Error('There is no plan')
    for (const [name, text] of plan.files) writeFileSync(pathOf(name), text)
    this.#ip('address', 'replace', `${source}/32`, 'dev', link)
    this.#ip('route', 'replace', victim, 'dev', link, 'src', source)
    this.#ip('neighbour', 'replace', victim, 'lladdr', this.#macOfVictim(`${link}0`), 'dev', link)
    this.#exec('conntrack', ...['-I', ...madeUpFlow(flowFrom)])
    const [program = '', ...words] = plan.argv
    using held = openNamespace(this.#namespace)
    const child = inNamespace(held.fd, () => spawn(program, words, { stdio: 'ignore' }))
    const ended = new Promise((resolve) => child.once('exit', resolve))
    try {
      const sent = () => Number(/(\d+) Bytes sent/.exec(this.#exec(program, ...words, '-s'))?.[1])
      await until('his conntrackd answers', () => sent() >= 0)
      this.#exec(program, ...words, '-B')
      // A sign of life has 8 bytes, a flow many more.
      await until('he has told it', () => sent() > 80)
    } finally {
      child.kill('SIGTERM')
      await ended
      this.#exec('conntrack', '-F')
      this.#ip('address', 'flush', 'dev', link)
    }
  }

  [Symbol.dispose](): void {
    ip('netns', 'delete', this.#namespace)
    rmSync(this.#directory, { recursive: true })
  }

  #exec(...words: string[]): string {
    return ip('netns', 'exec', this.#namespace, ...words)
  }

  #ip(...words: string[]): string {
    return ip('-n', this.#namespace, ...words)
  }

  #macOfVictim(device: string): string {
    const [link] = JSON.parse(this.#it.ip(this.#victim, 'r1', '-j', 'link', 'show', 'dev', device)) as {
      address: string
    }[]
    return link?.address ?? ''
  }
}

/** As the lab gives them, of its first router. */
const haAddressOf = (host: string): string => `169.254.${String(191 + Number(host.slice(1)))}.1`
