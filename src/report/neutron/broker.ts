import { isIP } from 'node:net'
import { KeepwardError } from '../../base/error.ts'

export interface Broker {
  /** As it is written, for a person. */
  readonly name: string
  readonly isTls: boolean
  readonly host: string
  readonly port: number
}

/** Read `amqps://host:port` or, where `plaintext`, `amqp://host:port`. Throws `request-invalid`: user, path and query have settings of their own. */
export function parseBroker(text: string, plaintext: boolean): Broker {
  const url = URL.parse(text)
  const isTls = url?.protocol === 'amqps:'
  // A password that somebody put there must not be repeated.
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new KeepwardError('request-invalid', 'A broker of a Neutron sink is no address of the form amqps://host:port')
  if (url.hostname === '' || (!isTls && url.protocol !== 'amqp:') || !['', '/'].includes(url.pathname))
    throw new KeepwardError(
      'request-invalid',
      `Broker ${url.host} of a Neutron sink must be of the form amqps://host:port`,
    )
  if (!isTls && !plaintext)
    throw new KeepwardError(
      'request-invalid',
      `Broker ${url.host} of a Neutron sink has no TLS, which must be allowed by plaintext: true`,
    )
  const bare = url.hostname.replace(/^\[|\]$/g, '')
  const host = isIP(bare) === 6 ? bare : url.hostname
  return { name: `${url.protocol}//${url.host}`, isTls, host, port: Number(url.port) || (isTls ? 5671 : 5672) }
}
