import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/instant.ts'
import { Secret } from '../../src/base/secret.ts'
import { bootTimeNs } from '../../src/linux/boot-clock.ts'
import { SafeDir } from '../../src/linux/safe-dir.ts'
import { Audit, type AuditEntry } from '../../src/statechange/audit.ts'
import { routerKey, secretFinder } from '../../src/statechange/keys.ts'
import type { Policy } from '../../src/statechange/policy.ts'
import { Receiver, type Claim, type Limits, type Listener } from '../../src/statechange/receiver.ts'
import { serveStateChanges, socketName, type Access, type StateChangeServer } from '../../src/statechange/server.ts'
import { proofHeaders, sign } from '../../src/statechange/signature.ts'

export const testBoot = '22ffe8f5-59cf-4823-8968-d603460c7d2e'

/** An agent in memory: takes claims, and makes them durable when told. */
export class TestListener implements Listener {
  readonly claims: Claim[] = []
  readonly looks: string[] = []
  readonly known = new Set<string>(['r1', 'r2'])
  recording = true
  /** What a claim waits for. */
  durable: () => Promise<unknown> = () => Promise.resolve()

  knows(router: string): boolean {
    return this.known.has(router)
  }

  canRecord(): boolean {
    return this.recording
  }

  take(claim: Claim): Promise<unknown> {
    this.claims.push(claim)
    return this.durable()
  }

  lookAt(router: string): void {
    this.looks.push(router)
  }
}

export interface TestServerOptions {
  readonly policy?: Policy
  readonly limits?: Partial<Limits>
  readonly unknownRouters?: 'compatible' | 'strict'
  readonly access?: Access
  readonly connections?: { readonly trusted: number; readonly others: number }
}

/** A state-change server of its own directory; disposing it closes it and removes everything. */
export class TestServer implements AsyncDisposable {
  readonly listener = new TestListener()
  readonly audited: AuditEntry[] = []
  readonly troubles: (string | undefined)[] = []
  readonly master = new Secret(Buffer.alloc(32, 7))
  readonly directory: string
  readonly path: string
  readonly receiver: Receiver
  server!: StateChangeServer
  readonly #dir: SafeDir

  private constructor(options: TestServerOptions) {
    this.directory = mkdtempSync(join(tmpdir(), 'kwt-sc-'))
    const { access = { kind: 'own' } } = options
    this.#dir = SafeDir.open(this.directory, { mode: access.kind === 'own' ? 0o700 : 0o711 })
    this.path = join(this.directory, socketName)
    this.receiver = this.makeReceiver(options)
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const made = new TestServer(options)
    const { policy, audit } = made.#parts(options)
    made.server = await serveStateChanges({
      receiver: made.receiver,
      policy,
      audit,
      connections: options.connections ?? { trusted: 4096, others: 64 },
      dir: made.#dir,
      access: options.access ?? { kind: 'own' },
      onTrouble: (text) => made.troubles.push(text),
    })
    return made
  }

  makeReceiver(options: TestServerOptions): Receiver {
    const { policy, audit } = this.#parts(options)
    const rate = { perSecond: 50_000, burst: 50_000 }
    return new Receiver({
      policy,
      limits: { trusted: rate, others: { perSecond: 200, burst: 200 }, perRouter: rate, ...options.limits },
      unknownRouters: options.unknownRouters ?? 'compatible',
      secretsOf: secretFinder(() => [this.master], new Map([['fleet', [new Secret(Buffer.alloc(32, 9))]]])),
      listener: this.listener,
      audit,
      boot: testBoot,
      clock: systemClock,
      bootMs: () => Number(bootTimeNs() / 1_000_000n),
    })
  }

  #made: { policy: Policy; audit: Audit } | undefined
  #parts(options: TestServerOptions): { policy: Policy; audit: Audit } {
    this.#made ??= {
      policy: options.policy ?? { ownUid: process.geteuid?.() ?? 0, rules: [] },
      audit: new Audit(
        (entry) => this.audited.push(entry),
        (router) => this.listener.knows(router),
      ),
    }
    return this.#made
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close()
    this.#dir.close()
    rmSync(this.directory, { recursive: true })
  }
}

/** Send these pieces, a pause before each but the first, and give back all that comes until the other side ends or `forMs` is over. */
export function exchange(
  path: string,
  pieces: string | readonly string[],
  options: { readonly pauseMs?: number; readonly forMs?: number; readonly closesHalf?: boolean } = {},
): Promise<string> {
  const { pauseMs = 5, forMs = 3000 } = options
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect({ path, allowHalfOpen: true })
  let heard = ''
  const end = () => {
    clearTimeout(timer)
    socket.destroy()
    resolve(heard)
  }
  const timer = setTimeout(end, forMs)
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => (heard += text))
  socket.on('error', end)
  socket.on('end', end)
  socket.on('close', end)
  const send = async () => {
    for (const [index, piece] of [pieces].flat().entries()) {
      if (index > 0) await new Promise((done) => setTimeout(done, pauseMs))
      if (socket.writable) socket.write(Buffer.from(piece, 'latin1'))
    }
    if (options.closesHalf === true) socket.end()
  }
  socket.on('connect', () => void send())
  return promise
}

/** The request of a Neutron monitor, with headers replaced or added; a value of undefined leaves one out. */
export function request(headers: Readonly<Record<string, string | undefined>> = {}, line = 'GET / HTTP/1.1'): string {
  const all: Readonly<Record<string, string | undefined>> = {
    Host: '127.0.0.1',
    'X-Neutron-Router-Id': 'r1',
    'X-Neutron-State': 'primary',
    Connection: 'close',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  return `${[line, ...lines].join('\r\n')}\r\n\r\n`
}

export interface NativeSays {
  readonly router?: string
  readonly state?: string
  readonly sequence?: bigint
  readonly boot?: string
  readonly sentMs?: number
  readonly key?: string
  readonly secret?: Secret
}

/** A native message, rightly signed unless `secret` is another. */
export function nativeRequest(master: Secret, says: NativeSays = {}): string {
  const { router = 'r1', state = 'primary', boot = testBoot, key = router } = says
  const { sequence = bootTimeNs(), sentMs = Date.now() } = says
  const proof = { router, state, sequence, boot, sentMs, key, intervalS: undefined }
  return request({
    'X-Neutron-Router-Id': router,
    'X-Neutron-State': state,
    [proofHeaders.sequence]: String(sequence),
    [proofHeaders.boot]: boot,
    [proofHeaders.time]: String(sentMs),
    [proofHeaders.key]: key,
    [proofHeaders.signature]: sign(says.secret ?? routerKey(master, key), proof),
  })
}

/** Status and code of a reply: `200`, `403 sender-refused`. */
export function verdict(reply: string): string {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(reply)?.[1] ?? 'no reply'
  const code = /"code":"([a-z-]+)"/.exec(reply)?.[1]
  return code === undefined ? status : `${status} ${code}`
}
