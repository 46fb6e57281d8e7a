import type { LookupAddress } from 'node:dns'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type SecureContext } from 'node:tls'
import { errnoOf, KeepwardError } from '../../base/error.ts'
import { resolveAll } from '../../linux/resolve.ts'

/** A connection on which the server has said who it is and nobody has spoken since; encrypted unless that was not wanted. */
export interface Way {
  readonly socket: Socket
  /** Its first line, with its end. */
  readonly info: Buffer
}

export interface Place {
  readonly host: string
  readonly port: number
  /** Undefined: in the clear. */
  readonly tls: SecureContext | undefined
}

/** A server says some hundred bytes, and one of each route in a cluster. */
const maxInfoBytes = 64 * 1024

/**
 * Connect as the client of NATS does: TCP, a line of the server's, TLS upon it. Throws `nats-failed`. The library's own way leaves the socket
 * open when it gives up, reads a first line without end, and holds the certificate of an address against `localhost`.
 */
export async function openWay({ host, port, tls }: Place, signal: AbortSignal): Promise<Way> {
  try {
    let failure: unknown
    for (const { address } of await resolve(host, signal)) {
      try {
        return await openAt(address, { host, port, tls }, signal)
      } catch (error) {
        failure = error
        if (signal.aborted) break
      }
    }
    throw failure
  } catch (cause) {
    if (cause instanceof KeepwardError) throw cause
    throw failed(host, port, signal.aborted ? 'has not answered in time' : wordsOf(cause))
  }
}

const failed = (host: string, port: number, says: string): KeepwardError =>
  new KeepwardError('nats-failed', `NATS at ${host}:${String(port)} ${says}`)

/** By code alone: the words of an error of TLS repeat what the other side put into its certificate. */
function wordsOf(cause: unknown): string {
  const code = errnoOf(cause) ?? 'broken off'
  return /CERT|SIGNATURE|ISSUER|SELF_SIGNED|CA_|ALTNAME/.test(code)
    ? `is not believed: ${code}`
    : `cannot be reached: ${code}`
}

async function openAt(address: string, { host, port, tls }: Place, signal: AbortSignal): Promise<Way> {
  const socket = connectTcp({ host: address, port, noDelay: true })
  const end = () => socket.destroy()
  signal.addEventListener('abort', end)
  try {
    const info = await firstLine(socket, () => failed(host, port, 'says something that is not NATS'))
    const offers = offersOf(info)
    if (offers === undefined) throw failed(host, port, 'says something that is not NATS')
    if (tls === undefined) {
      if (offers.required) throw failed(host, port, 'wants TLS')
      return { socket, info }
    }
    if (!offers.possible) throw failed(host, port, 'offers no TLS')
    return { socket: await encrypted(socket, host, tls), info }
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** More than one line would be taken for words said under TLS. */
function firstLine(socket: Socket, noNats: () => Error): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const done = (settle: () => void) => {
      socket.pause()
      socket.removeAllListeners('data').removeAllListeners('error').removeAllListeners('close')
      socket.on('error', () => undefined)
      settle()
    }
    socket.on('error', (error) => {
      done(() => {
        reject(error)
      })
    })
    socket.on('close', () => {
      done(() => {
        reject(new Error('closed'))
      })
    })
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      bytes += chunk.length
      const hasEnd = chunk.includes(0x0a)
      if (!hasEnd && bytes <= maxInfoBytes) return
      const line = Buffer.concat(chunks)
      done(() => {
        if (hasEnd && bytes <= maxInfoBytes && line.indexOf('\r\n') === line.length - 2) resolve(line)
        else reject(noNats())
      })
    })
  })
}

function offersOf(line: Buffer): { readonly required: boolean; readonly possible: boolean } | undefined {
  const text = line.toString('utf8')
  if (!text.startsWith('INFO ')) return undefined
  try {
    const { tls_required, tls_available } = JSON.parse(text.slice('INFO '.length)) as Record<string, unknown>
    return { required: tls_required === true, possible: tls_required === true || tls_available === true }
  } catch {
    return undefined
  }
}

function encrypted(socket: Socket, host: string, secureContext: SecureContext): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const secure = connectTls({
      ...{ socket, secureContext, rejectUnauthorized: true },
      ...(isIP(host) === 0 ? { servername: host } : {}),
      checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    })
    const fail = (error: Error) => {
      secure.destroy()
      reject(error)
    }
    const closed = () => {
      reject(new Error('closed'))
    }
    secure.once('error', fail).once('close', closed)
    secure.once('secureConnect', () => {
      secure.off('error', fail).off('close', closed)
      secure.on('error', () => undefined)
      resolve(secure)
    })
  })
}

/** A name whose resolution hangs is not waited for. */
function resolve(host: string, signal: AbortSignal): Promise<readonly LookupAddress[]> {
  return new Promise((known, reject) => {
    const giveUp = () => {
      reject(new Error('aborted'))
    }
    signal.addEventListener('abort', giveUp, { once: true })
    void resolveAll(host)
      .then(known, reject)
      .finally(() => {
        signal.removeEventListener('abort', giveUp)
      })
    if (signal.aborted) giveUp()
  })
}
