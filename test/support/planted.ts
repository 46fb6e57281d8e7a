import { randomBytes } from 'node:crypto'

/** A secret that stands nowhere by chance. */
export interface Planted {
  readonly name: string
  readonly text: string
}

/** Of the form of a VRRP password, 8 characters. */
export const plantPassword = (name: string): Planted => ({ name, text: `Kw${randomBytes(3).toString('hex')}` })
/** 64 hexadecimal digits. */
export const plantKey = (name: string): Planted => ({ name, text: randomBytes(32).toString('hex') })

/** The ways in which a secret may stand in bytes: as it is, as hexadecimal digits, and as base64 wherever it begins. */
function formsOf({ text }: Planted): readonly Buffer[] {
  const raw = /^[0-9a-f]{64}$/.test(text) ? [Buffer.from(text, 'hex')] : []
  const all = [Buffer.from(text), ...raw].flatMap((bytes) => {
    const hex = bytes.toString('hex')
    const shifted = [0, 1, 2].map((shift) => {
      const base64 = Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .replace(/=+$/, '')
      // The first and last characters hold bits of what stands beside it.
      return base64.slice(shift === 0 ? 0 : shift + 1, -1)
    })
    const url = shifted.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))
    return [bytes, ...[hex, hex.toUpperCase(), ...shifted, ...url].map((form) => Buffer.from(form))]
  })
  return all
}

/** Looks for planted secrets in whatever it is shown, and remembers where it found which. */
export class Hunt {
  readonly found = new Set<string>()
  /** How much it was shown, by place: a hunt that saw nothing has proven nothing. */
  readonly seen = new Map<string, number>()
  readonly #forms: readonly (readonly [name: string, form: Buffer])[]

  constructor(planted: readonly Planted[]) {
    this.#forms = planted.flatMap((one) => formsOf(one).map((form) => [one.name, form] as const))
  }

  look(place: string, content: string | Buffer): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    this.seen.set(place, (this.seen.get(place) ?? 0) + bytes.length)
    for (const [name, form] of this.#forms) if (bytes.includes(form)) this.found.add(`${place}: ${name}`)
  }
}
