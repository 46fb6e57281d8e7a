/** Control, format and other characters that no terminal should get from others. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu
const unprintableInLines = /(?![\n\t]|\r\n)[\p{C}\p{Zl}\p{Zp}]/gu

export const escapeControls = (text: string): string => text.replace(unprintable, escaped)

/** A value of JSON with such characters in its texts escaped, for a person; lines stay lines. */
export const withoutControls = <T>(value: T): T =>
  JSON.parse(JSON.stringify(value), (_, inner: unknown) =>
    typeof inner === 'string' ? inner.replace(unprintableInLines, escaped) : inner,
  ) as T

/** JSON in which such characters stand as its own escapes, so that it is the same value. */
export const jsonText = (value: unknown): string =>
  JSON.stringify(value).replace(unprintable, (one) =>
    [...Array(one.length).keys()].map((at) => `\\u${one.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )

const escaped = (one: string): string => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`
