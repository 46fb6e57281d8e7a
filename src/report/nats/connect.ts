import type { SecureContext } from 'node:tls'
import {
  credsAuthenticator,
  errors,
  NatsConnectionImpl,
  type Authenticator,
  type NatsConnection,
} from '@nats-io/nats-core/internal'
import { escapeControls } from '../../base/controls.ts'
import { describeError, KeepwardError } from '../../base/error.ts'
import type { Secret } from '../../base/secret.ts'
import { nkeyOf } from './nkey.ts'
import { useWays, type WayOptions } from './transport.ts'
import { openWay } from './way.ts'

/** Who speaks, to whom, and whom it believes. */
export interface Access {
  /** `tls://host:port` or `nats://host:port`. */
  readonly server: string
  /** Whether `nats://` will do. */
  readonly plaintext: boolean
  /** Of `tls://`. */
  readonly tls: SecureContext | undefined
  readonly identity:
    { readonly kind: 'nkey'; readonly seed: Secret } | { readonly kind: 'creds'; readonly text: Secret } | undefined
  /** Shown by the server to its operator. */
  readonly name: string
  /** Under which answers come. */
  readonly inbox: string
}

const connectDeadlineMs = 5000
/** Two that are not answered end the connection. */
const pingEveryMs = 5000
const defaultPort = 4222

/**
 * One connection to one server, which ends when it breaks: whoever wants another one calls again, with secrets read anew. Throws `nats-failed`
 * when the server is not reached or not believed within 5 s, does not let us in, or would be spoken to in the clear against `plaintext`.
 */
export async function connectNats(access: Access, signal: AbortSignal): Promise<NatsConnection> {
  const { server, plaintext, tls, identity, name, inbox } = access
  const url = URL.parse(server)
  // As it was given it may have a password in it.
  const isAddress = url?.hostname !== '' && /^(tls|nats):$/.test(url?.protocol ?? '')
  if (url === null || !isAddress || url.username !== '' || url.password !== '')
    throw failed('The address of a NATS server must be tls:// or nats:// with a host and a port, and without a user')
  const { protocol, hostname, port } = url
  if (protocol === 'nats:' && !plaintext)
    throw failed(`nats://${url.host} would be spoken to in the clear, which is not allowed`)
  if (protocol === 'tls:' && tls === undefined) throw failed(`tls://${url.host} has nothing to speak TLS with`)
  const place = {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? defaultPort : Number(port),
    tls: protocol === 'tls:' ? tls : undefined,
  }
  const authenticator = authenticatorOf(identity)
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(connectDeadlineMs)])
  const way = await openWay(place, bounded)
  const end = () => way.socket.destroy()
  bounded.addEventListener('abort', end)
  try {
    useWays()
    const options: WayOptions = {
      ...{ way, name, inboxPrefix: inbox, servers: [`${hostname}:${String(place.port)}`] },
      ...{ reconnect: false, resolve: false, ignoreClusterUpdates: true, noAsyncTraces: true },
      ...{ timeout: connectDeadlineMs, pingInterval: pingEveryMs, maxPingOut: 2 },
      ...(authenticator === undefined ? {} : { authenticator }),
    }
    return await NatsConnectionImpl.connect(options)
  } catch (error) {
    end()
    throw failed(`NATS at ${place.host}:${String(place.port)} ${refusalIn(error)}`)
  } finally {
    bounded.removeEventListener('abort', end)
  }
}

const failed = (message: string): KeepwardError => new KeepwardError('nats-failed', message)

function authenticatorOf(identity: Access['identity']): Authenticator | undefined {
  if (identity === undefined) return undefined
  if (identity.kind === 'creds') return credentials(identity.text.revealBytes())
  const nkey = nkeyOf(identity.seed.revealText().trim())
  if (nkey === undefined) throw failed('What should be the seed of a user NKey is none')
  return (nonce) => ({ nkey: nkey.publicKey, sig: nonce === undefined ? '' : nkey.sign(nonce) })
}

function credentials(file: Uint8Array): Authenticator {
  const authenticator = credsAuthenticator(file)
  try {
    authenticator('challenge')
  } catch {
    throw failed('The file of credentials holds none')
  }
  return authenticator
}

function refusalIn(error: unknown): string {
  if (error instanceof errors.AuthorizationError) return 'does not let us in: it does not know this NKey or certificate'
  return `does not let us in: ${excerpt(error)}`
}

/** Of what somebody else said. */
export const excerpt = (error: unknown): string => escapeControls(describeError(error)).slice(0, 200)
