import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Secret } from '../../src/base/secret.ts'
import { accountText } from '../../src/report/nats/permissions.ts'
import { makeCertificates } from './vault-server.ts'
import { freePort, NatsServer, newNkey } from './nats-server.ts'

export type Person = 'operator' | 'consumer' | 'host1' | 'host2'

/** The servers of deploy/nats/, on loopback, with certificates, NKeys and ports filled in. */
export interface Deployed extends AsyncDisposable {
  readonly servers: readonly NatsServer[]
  readonly urls: readonly string[]
  /** CA of the servers, in PEM. */
  readonly ca: string
  readonly seeds: Readonly<Record<Person, Secret>>
  /** Of the agents that were asked for. */
  readonly agentSeeds: ReadonlyMap<string, Secret>
  /** Its directory holds ca.pem, and the seed of the operator as operator.seed. */
  readonly directory: string
  /** Give a person another NKey; servers that run read it by SIGHUP. */
  rotate(person: Person): Secret
}

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'deploy', 'nats', name), 'utf8')

interface DeployOptions {
  /** Agents besides host1 and host2, each with an account of its own. */
  readonly agents?: readonly string[]
  /** With `sync_interval: always`, which a server before 2.10 does not know. */
  readonly synced?: boolean
  readonly root?: string
}

/** `size`: 1 is single.conf, 3 is cluster.conf. */
export async function deploy(size: 1 | 3, options: DeployOptions = {}): Promise<Deployed> {
  const { agents = [], synced = false, root = tmpdir() } = options
  const directory = mkdtempSync(join(root, 'kwt-nats-deploy-'))
  makeCertificates(directory)
  const keys = { operator: newNkey(), consumer: newNkey(), host1: newNkey(), host2: newNkey() }
  const agentKeys = new Map(agents.map((agent) => [agent, newNkey()]))
  const accounts = [...agentKeys].map(([agent, { publicKey }]) => accountText(agent, publicKey)).join('\n')
  writeFileSync(join(directory, 'operator.seed'), keys.operator.seed.revealText(), { mode: 0o600 })
  const ports = await Promise.all(Array.from({ length: size }, freePort))
  const routes = await Promise.all(Array.from({ length: size }, freePort))
  const places = Array.from({ length: size }, (_, at) => join(directory, `nats${String(at + 1)}`))
  const writeUsers = () => {
    for (const place of places) writeFileSync(join(place, 'users.conf'), usersText(keys, accounts))
  }
  for (const place of places) mkdirSync(place)
  writeUsers()
  const started = places.map((place, at) => {
    const found = read(size === 1 ? 'single.conf' : 'cluster.conf')
    const config = synced ? found.replace('# sync_interval', 'sync_interval') : found
    const text = filled(config, directory, place, at, ports, routes)
    return NatsServer.start(text, { directory: place, port: ports[at] ?? 0, whole: true })
  })
  const servers = await Promise.all(started)
  return {
    ...{ servers, directory, ca: readFileSync(join(directory, 'ca.pem'), 'utf8') },
    urls: ports.map((port) => `tls://127.0.0.1:${String(port)}`),
    get seeds() {
      const seeds = Object.entries(keys).map(([person, { seed }]) => [person, seed] as const)
      return Object.fromEntries(seeds) as Record<Person, Secret>
    },
    agentSeeds: new Map([...agentKeys].map(([agent, { seed }]) => [agent, seed])),
    rotate: (person) => {
      keys[person] = newNkey()
      writeUsers()
      for (const server of servers) server.signal('SIGHUP')
      return keys[person].seed
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** As an operator does it: his keys, and the account of one more agent, as `keepward nats permissions` prints it. */
function usersText(keys: Readonly<Record<Person, { readonly publicKey: string }>>, accounts: string): string {
  const entry = join(import.meta.dirname, '..', '..', 'src', 'cmd', 'keepward.ts')
  const printed = execFileSync(
    process.execPath,
    [entry, 'nats', 'permissions', 'host2', '--nkey', keys.host2.publicKey],
    { encoding: 'utf8' },
  )
  return read('users.conf')
    .replace('UOPERATOR', keys.operator.publicKey)
    .replace('UCONSUMER', keys.consumer.publicKey)
    .replace('UHOST1', keys.host1.publicKey)
    .replace(/\n\}\nsystem_account/, () => `\n${printed}\n${accounts}\n}\nsystem_account`)
}

function filled(
  text: string,
  directory: string,
  place: string,
  at: number,
  ports: readonly number[],
  routes: readonly number[],
): string {
  const name = `nats${String(at + 1)}`
  return text
    .replace(/^server_name: nats1/m, `server_name: ${name}`)
    .replaceAll('0.0.0.0:4222', `127.0.0.1:${String(ports[at])}`)
    .replaceAll('0.0.0.0:6222', `127.0.0.1:${String(routes[at])}`)
    .replaceAll('/etc/nats/tls/cluster-ca.pem', join(directory, 'ca.pem'))
    .replaceAll('/etc/nats/tls/', `${directory}/`)
    .replaceAll('/var/lib/nats', join(place, 'store'))
    .replaceAll(/nats(\d)\.example\.net:6222/g, (_, n: string) => `127.0.0.1:${String(routes[Number(n) - 1])}`)
}
