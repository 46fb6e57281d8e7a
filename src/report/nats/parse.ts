import { Parser, ProtocolHandler } from '@nats-io/nats-core/internal'

/** A server's longest line is its INFO. */
const maxLineBytes = 64 * 1024
/** The longest answer names each router of an agent. */
const maxMessageBytes = 8 * 1024 * 1024

const parseWithin = (parse: Parser['parse']) =>
  function (this: Parser, chunk: Uint8Array): void {
    try {
      parse.call(this, chunk)
      const isMessage = this.msgBuf !== undefined
      if (isMessage ? this.ma.size > maxMessageBytes : (this.argBuf?.length ?? 0) > maxLineBytes)
        throw new Error('The server says more at once than any NATS')
    } catch (error) {
      if (!(this.dispatcher instanceof ProtocolHandler)) throw error
      void this.dispatcher.transport.close(error instanceof Error ? error : undefined)
    }
  }

let isGuarded = false

/**
 * Have the library end a connection on which it is told what it cannot read, or more than we would keep. By itself it prints to our output
 * what it was told, and keeps a line without end until there is no memory left.
 */
export function guardParser(): void {
  if (isGuarded) return
  isGuarded = true
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called upon the parser that it is called upon here
  Parser.prototype.parse = parseWithin(Parser.prototype.parse)
}
