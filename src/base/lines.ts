/**
 * Cuts a stream of text into lines. `take` gets what has come and returns the lines that are whole now; undefined once a line is longer than
 * allowed, and from then on.
 */
export function lineCutter(maxLength: number): (text: string) => string[] | undefined {
  let parts: string[] = []
  let length = 0
  return (text) => {
    if (length > maxLength) return undefined
    const pieces = text.split('\n')
    const last = pieces.pop() ?? ''
    const lines = pieces.map((piece, at) => (at === 0 ? [...parts, piece].join('') : piece))
    if (pieces.length > 0) {
      parts = []
      length = 0
    }
    parts.push(last)
    length += last.length
    const tooLong = length > maxLength || lines.some((line) => line.length > maxLength)
    if (tooLong) length = Infinity
    return tooLong ? undefined : lines
  }
}
