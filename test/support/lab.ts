import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentStatus, EventView, Explanation, RouterStatus, VerdictView } from '../../src/agent/api.ts'
import { callAt } from '../../src/cli/client.ts'
import { downLab, Lab, labsDirectory } from '../../src/lab/lab.ts'
import { prefixOf, routerNamespace, type LabHost, type LabShape } from '../../src/lab/topology.ts'
import { listNamespaces, openNamespace } from '../../src/linux/netns.ts'
import { openNetlink } from '../../src/linux/netlink-socket.ts'
import { takeSnapshot } from '../../src/linux/snapshot.ts'
import { openWatchSocket, watchKernel } from '../../src/linux/watch.ts'
import { until } from './until.ts'

export const program = new URL('../../bin/keepward', import.meta.url).pathname

type Change = Partial<Omit<LabShape, 'name' | 'directory'>> & {
  /** Rewrites a host's config before its agent starts. */
  readonly config?: (text: string, host: LabHost) => string
  /** Called once all configs are written and no agent runs yet. */
  readonly prepare?: (lab: Lab) => Promise<void> | void
}

/** Bring up a lab of this test file alone; 2 hosts, 1 router, adverts of 200 ms unless told otherwise. */
export async function labFor(file: string, change: Change = {}): Promise<LabUnderTest> {
  const { config, prepare, ...shape } = change
  const name = nameFor(file)
  const whole: LabShape = {
    name,
    hosts: 2,
    routers: 1,
    advertisementInterval: '200ms',
    vrrpVersion: 3,
    directory: join(labsDirectory, name),
    ...shape,
  }
  try {
    const lab = await Lab.up(whole, program, async (made) => {
      for (const host of made.hosts) {
        if (config !== undefined) writeFileSync(host.config, config(readFileSync(host.config, 'utf8'), host))
      }
      await prepare?.(made)
    })
    return new LabUnderTest(lab)
  } catch (error) {
    await downLab(name, whole.directory)
    throw error
  }
}

export const nameFor = (file: string): string => `t${file}${String(process.pid)}`.slice(0, 16)

/** What a test asks of a lab, and how it waits for it. */
export class LabUnderTest {
  readonly lab: Lab

  constructor(lab: Lab) {
    this.lab = lab
  }

  get name(): string {
    return this.lab.shape.name
  }

  async down(): Promise<void> {
    await downLab(this.name, this.lab.shape.directory)
  }

  get<T>(host: string, path: string): Promise<T> {
    return callAt<T>(this.lab.host(host).socket, 'GET', path)
  }

  status(host: string): Promise<AgentStatus> {
    return this.get(host, '/v1/status')
  }

  async router(host: string, id = 'r1'): Promise<RouterStatus> {
    const { routers } = await this.status(host)
    const router = routers.find((one) => one.id === id)
    if (router === undefined) throw new Error(`${host} has no router ${id}`)
    return router
  }

  explain(host: string, id = 'r1'): Promise<Explanation> {
    return this.get(host, `/v1/routers/${id}`)
  }

  /** Oldest first. */
  async events(host: string, router?: string, after = 0): Promise<EventView[]> {
    const all: EventView[] = []
    for (let from = after; ; from = all.at(-1)?.seq ?? from) {
      const query = `after=${String(from)}&limit=1000${router === undefined ? '' : `&router=${router}`}`
      const page = await this.get<EventView[]>(host, `/v1/events?${query}`)
      all.push(...page)
      if (page.length < 1000) return all
    }
  }

  /** `backup -> primary`, oldest first. */
  async transitions(host: string, router = 'r1', after = 0): Promise<string[]> {
    const events = await this.events(host, router, after)
    return events
      .filter(({ kind }) => kind === 'transition')
      .map(({ body }) => `${String(body['from'])} -> ${String(body['to'])}`)
  }

  /** `raised keepalived-restarting`, oldest first. */
  async conditions(host: string, router?: string, after = 0): Promise<string[]> {
    const events = await this.events(host, router, after)
    return events
      .filter(({ kind }) => kind === 'condition')
      .map(({ body }) => `${String(body['change'])} ${String(body['code'])}`)
  }

  async lastSeq(host: string): Promise<number> {
    return (await this.status(host)).journal.durableSeq
  }

  verify(host: string): Promise<VerdictView> {
    return this.get(host, '/v1/verify')
  }

  /** Every router has one primary, and every other host is backup; then who is primary of `id`. */
  async settled(id = 'r1'): Promise<string> {
    const hosts = this.lab.hosts.map(({ name }) => name)
    return until(`one primary of each router in lab ${this.name}`, async () => {
      const all = await Promise.all(hosts.map((host) => this.status(host)))
      const good = this.lab.routers.every((router) => {
        const found = all.map((one) => one.routers.find((it) => it.id === router.id))
        return found.filter((one) => one?.role === 'primary').length === 1 && found.every(isInService)
      })
      return good && hosts[all.findIndex((one) => one.routers.find((it) => it.id === id)?.role === 'primary')]
    })
  }

  /** The one that is not `host`, of two. */
  other(host: string): string {
    const found = this.lab.hosts.find(({ name }) => name !== host)
    if (found === undefined) throw new Error('There is one host only')
    return found.name
  }

  /** Wait until the role is shown, and recorded. */
  role(host: string, role: RouterStatus['role'], id = 'r1', deadlineMs?: number): Promise<RouterStatus> {
    return until(
      `${id} is ${role} on ${host}`,
      async () => {
        const router = await this.router(host, id)
        return router.role === role && router.recorded && router
      },
      deadlineMs,
    )
  }

  /** Wait until a condition of the router is shown; returns its text. */
  condition(host: string, code: string, id = 'r1', deadlineMs?: number): Promise<string> {
    return until(
      `${code} of ${id} is shown on ${host}`,
      async () => (await this.router(host, id)).conditions.find((one) => one.code === code)?.text,
      deadlineMs,
    )
  }

  /** Wait until none but notes is shown, and the journal has it all. */
  noCondition(host: string, id = 'r1', deadlineMs?: number): Promise<true> {
    return until(
      `no condition of ${id} is shown on ${host}`,
      async () => {
        const { journal, routers } = await this.status(host)
        const router = routers.find((one) => one.id === id)
        return journal.pending === 0 && router !== undefined && troublesOf(router).length === 0
      },
      deadlineMs,
    )
  }

  answers(host: string): Promise<AgentStatus> {
    return until(`the agent of ${host} answers`, () => this.status(host))
  }

  namespace(host: string, router = 'r1'): string {
    return routerNamespace(this.name, host, router)
  }

  /** Run ip(8) in the namespace of a router. */
  ip(host: string, router: string, ...words: string[]): string {
    return ip('-n', this.namespace(host, router), ...words)
  }

  /** The addresses of a router's interface, with prefix length, link-local IPv6 ones left out. */
  addresses(host: string, device: 'ha0' | 'ext0' | 'int0', router = 'r1'): string[] {
    const [link] = JSON.parse(this.ip(host, router, '-j', 'address', 'show', 'dev', device)) as {
      addr_info: { local: string; prefixlen: number; scope: string; family: string }[]
    }[]
    return (link?.addr_info ?? [])
      .filter(({ scope, family }) => !(scope === 'link' && family === 'inet6'))
      .map(({ local, prefixlen }) => `${local}/${String(prefixlen)}`)
  }

  editConfig(host: string, edit: (text: string) => string): void {
    const { config } = this.lab.host(host)
    const before = readFileSync(config, 'utf8')
    const after = edit(before)
    if (after === before) throw new Error(`The edit of ${config} changes nothing`)
    writeFileSync(config, after)
  }

  apply(host: string): Promise<unknown> {
    return callAt(this.lab.host(host).socket, 'POST', '/v1/apply')
  }

  log(host: string): string {
    return readFileSync(this.lab.host(host).log, 'utf8')
  }

  /** Note every address that comes to or goes from the named namespaces from now on, IPv6 link-local ones of links left out. */
  watch(...namespaces: string[]): AddressWatch {
    const seen: string[] = []
    const names = new Map<number, string>()
    const watch = watchKernel({
      fd: openWatchSocket(),
      onChange: (nsid, _view, cause) => {
        if (cause.kind !== 'event' || !('address' in cause.event)) return
        const { type, address } = cause.event
        // The kernel's own, which come and go with their link.
        if (address.address.startsWith('fe80::') && !address.address.startsWith('fe80::5652:')) return
        // A refreshed lifetime or flag comes as another `address`; the view tells those apart, and no view changed.
        seen.push(`${names.get(nsid) ?? ''} ${type === 'address' ? '+' : '-'}${address.address}`)
      },
      onGone: () => undefined,
    })
    using socket = openNetlink()
    for (const name of namespaces) {
      using namespace = openNamespace(name)
      names.set(watch.track(() => takeSnapshot(socket, namespace.fd, 'all')).nsid, name)
    }
    return {
      seen,
      [Symbol.dispose]: () => {
        watch.close()
      },
    }
  }

  /** What would be left of the lab now: namespaces and directory. */
  leftovers(): string[] {
    const { directory } = this.lab.shape
    return [
      ...listNamespaces().filter((one) => one.startsWith(prefixOf(this.name))),
      ...(existsSync(directory) ? readdirSync(directory) : []),
    ]
  }
}

export interface AddressWatch extends Disposable {
  /** `<namespace> +<address>` and `-<address>`, in the kernel's order. */
  readonly seen: readonly string[]
}

/** What is raised and more than a note, which says how the router is configured. */
export const troublesOf = ({ conditions }: RouterStatus): string[] =>
  conditions.filter(({ severity }) => severity !== 'info').map(({ code }) => code)

const isInService = (one: RouterStatus | undefined): boolean =>
  one !== undefined && (one.role === 'primary' || one.role === 'backup') && one.recorded

export function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8', timeout: 10_000, stdio: 'pipe' })
}

/** The role that a journal's newest transition of the router gives. */
export const lastRole = (transitions: readonly string[]): string | undefined => transitions.at(-1)?.split(' -> ')[1]
