/**
 * A secret in memory. It shows as `[secret]` wherever a value is made text: a template, JSON, a log line, util.inspect, the
 * message of an error. What is cloned or sent to another thread is empty. It leaves through the two methods alone, and a
 * test holds the list of files that call them.
 */
export class Secret {
  readonly #bytes: Buffer

  /** Keeps a copy, so that a buffer that is used again does not change it. */
  constructor(content: string | Uint8Array) {
    this.#bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : Buffer.from(content)
    Object.freeze(this)
  }

  /** A text that ends in one newline, as files do, whether or not it ended in one before. */
  static line(text: string): Secret {
    return new Secret(`${text.replace(/\n$/, '')}\n`)
  }

  /** As text; bytes that are no UTF-8 become U+FFFD. */
  revealText(): string {
    return this.#bytes.toString('utf8')
  }

  /** A copy. */
  revealBytes(): Buffer {
    return Buffer.from(this.#bytes)
  }

  toString(): string {
    return shown
  }

  toJSON(): string {
    return shown
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return shown
  }
}

const shown = '[secret]'
