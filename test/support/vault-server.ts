import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'

/*
 * As much of Vault as Keepward asks for, written from its published API: https://developer.hashicorp.com/vault/api-docs, KV version 2,
 * AppRole, and the token's lookup-self and renew-self.
 */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Says nothing. */
  | { readonly kind: 'silent' }
  /** Says this in place of an answer. */
  | { readonly kind: 'says'; readonly text: string }
  /** Never ends. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'hangs-up' }

interface Token {
  endsMs: number
  readonly ttlMs: number
  readonly maxEndsMs: number
  readonly renewable: boolean
  readonly mayRead: boolean
}

interface TokenChoices {
  readonly ttlS?: number
  readonly maxTtlS?: number
  readonly renewable?: boolean
  readonly mayRead?: boolean
}

export interface Asked {
  readonly method: string
  readonly path: string
  readonly token: string | undefined
  readonly namespace: string | undefined
}

export class VaultServer {
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()
  readonly #tokens = new Map<string, Token>()
  readonly #roles = new Map<string, { readonly secretId: string } & TokenChoices>()
  readonly asked: Asked[] = []
  /** By engine and path, such as `secret/keepward/r1`; null: the newest version was deleted. */
  readonly secrets = new Map<string, Readonly<Record<string, unknown>> | null>()
  fault: Fault | undefined
  /** Answers are made up at once, and sent when this is over. */
  held: Promise<undefined> | undefined
  sealed = false

  private constructor(directory: string) {
    const pem = (name: string) => readFileSync(join(directory, name))
    this.#server = createServer({ key: pem('server.key'), cert: pem('server.pem') }, (request, response) => {
      void this.#serve(request, response)
    })
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  /** With what {@link makeCertificates} made in the directory. */
  static async start(directory: string, port = 0): Promise<VaultServer> {
    const vault = new VaultServer(directory)
    vault.#server.listen(port, '127.0.0.1')
    await once(vault.#server, 'listening')
    return vault
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `https://127.0.0.1:${String(this.port)}`
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  issue({ ttlS = 3600, maxTtlS = 1e6, renewable = true, mayRead = true }: TokenChoices = {}): string {
    const token = `hvs.${randomUUID()}`
    const now = Date.now()
    const endsMs = ttlS === 0 ? Infinity : now + ttlS * 1000
    this.#tokens.set(token, { endsMs, ttlMs: ttlS * 1000, maxEndsMs: now + maxTtlS * 1000, renewable, mayRead })
    return token
  }

  addRole(choices: TokenChoices = {}): { readonly roleId: string; readonly secretId: string } {
    const [roleId, secretId] = [randomUUID(), randomUUID()]
    this.#roles.set(roleId, { secretId, ...choices })
    return { roleId, secretId }
  }

  revokeAll(): void {
    this.#tokens.clear()
  }

  times(path: string): number {
    return this.asked.filter((one) => one.path === path).length
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    const token = header(request, 'x-vault-token')
    this.asked.push({ method, path: url.slice(4), token, namespace: header(request, 'x-vault-namespace') })
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (this.fault !== undefined) {
      fail(this.fault, response)
      return
    }
    const [status, body] = this.sealed
      ? ([503, errors('Vault is sealed')] as const)
      : this.#answer(`${method} ${url.slice(4)}`, token, Buffer.concat(chunks).toString('utf8'))
    await this.held
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(body === undefined ? undefined : JSON.stringify(body))
  }

  #answer(what: string, id: string | undefined, body: string): readonly [status: number, body?: unknown] {
    if (what === 'POST auth/approle/login') return this.#login(JSON.parse(body) as Record<string, unknown>)
    const token = id === undefined ? undefined : this.#tokens.get(id)
    if (token === undefined || token.endsMs <= Date.now()) return [403, errors('permission denied')]
    if (what === 'GET auth/token/lookup-self')
      return [200, { data: { id, ttl: secondsLeft(token), renewable: token.renewable, policies: ['default'] } }]
    if (what === 'POST auth/token/renew-self') {
      if (!token.renewable) return [400, errors('lease is not renewable')]
      token.endsMs = Math.min(token.maxEndsMs, Date.now() + token.ttlMs)
      return [200, this.#authOf(id ?? '', token)]
    }
    const [, mount = '', path = ''] = /^GET ([^/]+)\/data\/(.+)$/.exec(what) ?? []
    if (!token.mayRead) return [403, errors('1 error occurred:\n\t* permission denied\n\n')]
    const secret = this.secrets.get(`${mount}/${path}`)
    const metadata = { version: 1, destroyed: false, deletion_time: secret === null ? '2026-01-01T00:00:00Z' : '' }
    if (secret === undefined) return [404, errors()]
    return [secret === null ? 404 : 200, { data: { data: secret, metadata } }]
  }

  #login({ role_id: roleId, secret_id: secretId }: Record<string, unknown>): readonly [number, unknown] {
    const role = typeof roleId === 'string' ? this.#roles.get(roleId) : undefined
    if (role === undefined || role.secretId !== secretId) return [400, errors('invalid role or secret ID')]
    const id = this.issue(role)
    const token = this.#tokens.get(id)
    return token === undefined ? [500, errors('no token')] : [200, this.#authOf(id, token)]
  }

  #authOf(id: string, token: Token): unknown {
    return { auth: { client_token: id, lease_duration: secondsLeft(token), renewable: token.renewable } }
  }
}

const secondsLeft = ({ endsMs }: Token): number =>
  endsMs === Infinity ? 0 : Math.max(0, Math.round((endsMs - Date.now()) / 1000))

const errors = (...said: string[]): unknown => ({ errors: said })

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

function fail(fault: Fault, response: ServerResponse): void {
  switch (fault.kind) {
    case 'status':
      response.writeHead(fault.status, fault.headers)
      response.end(JSON.stringify(errors('hvs.inanerror')))
      return
    case 'says':
      response.end(fault.text)
      return
    case 'hangs-up':
      response.destroy()
      return
    case 'endless':
      response.on('drain', () => {
        pour(response)
      })
      pour(response)
      return
    case 'silent':
  }
}

function pour(response: ServerResponse): void {
  while (!response.destroyed && response.write('x'.repeat(65_536)));
}

/** A CA (`ca.pem`) and a certificate for 127.0.0.1 (`server.pem`, `server.key`), by openssl(1). */
export function makeCertificates(directory: string): void {
  const at = (name: string) => join(directory, name)
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  writeFileSync(at('server.ext'), 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n')
  openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=test CA')
  openssl('req', ...key, '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=vault')
  const ca = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial']
  openssl(
    'x509',
    '-req',
    '-in',
    at('server.csr'),
    ...ca,
    '-out',
    at('server.pem'),
    '-days',
    '2',
    '-extfile',
    at('server.ext'),
  )
}
