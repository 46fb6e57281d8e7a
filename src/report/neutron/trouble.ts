import { errnoOf } from '../../base/error.ts'
import type { NeutronSettings } from '../settings.ts'
import type { SinkTrouble } from '../sink.ts'
import type { Broker } from './broker.ts'
import { excerpt } from './message.ts'

/** Why a broker is of no use; the message goes behind its name. */
export class Trouble extends Error {
  readonly kind: SinkTrouble['kind']

  constructor(kind: SinkTrouble['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

export interface Asked {
  readonly broker: Pick<Broker, 'isTls'>
  readonly settings: Pick<NeutronSettings, 'virtualHost' | 'user' | 'exchange'>
}

/** In our words where it is known; else a short excerpt of what the broker says. */
export function troubleOf(error: unknown, { settings }: Asked): Trouble {
  if (error instanceof Trouble) return error
  const text = error instanceof Error ? error.message : ''
  const known = answers.find(({ said }) => said.test(text))
  if (known !== undefined) return new Trouble('not-ready', known.means(settings))
  const code = errnoOf(error)
  // By code alone: the words of an error of TLS repeat what the other side put into its certificate.
  if (code !== undefined && /CERT|SIGNATURE|ISSUER|SELF_SIGNED|CA_/.test(code))
    return new Trouble('unreachable', `is not believed: ${code}`)
  if (code !== undefined) return new Trouble('unreachable', `cannot be reached: ${code}`)
  return new Trouble('unreachable', `breaks off: ${excerpt(text)}`)
}

interface Answer {
  readonly said: RegExp
  readonly means: (settings: Asked['settings']) => string
}

/** https://www.rabbitmq.com/amqp-0-9-1-reference: what somebody must mend there, by the code of the broker. */
const answers: readonly Answer[] = [
  {
    said: /\b404\b.*no exchange/s,
    means: ({ exchange }) => `has no exchange ${excerpt(exchange)}: neutron-server makes it when it first starts`,
  },
  {
    said: /Login was refused|\b403\b.*Handshake|Handshake.*\b403\b/s,
    means: ({ user }) => `refuses the user ${excerpt(user)} or its password`,
  },
  { said: /\b403\b/, means: ({ user }) => `does not allow the user ${excerpt(user)} what is needed` },
  {
    said: /NOT_ALLOWED|\b530\b/,
    means: ({ user, virtualHost }) =>
      `has no virtual host ${excerpt(virtualHost)} that the user ${excerpt(user)} may use`,
  },
  {
    said: /PRECONDITION_FAILED|\b406\b/,
    means: () => 'does not make the queue for answers of that kind: see replyQueue',
  },
]
