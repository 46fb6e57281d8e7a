/** Age for a person: `0.4s`, `12s`, `5m10s`, `3h02m`, `2d04h`. */
export function ageText(ms: number): string {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)}s`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${String(seconds)}s`
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))}m${two(seconds % 60)}s`
  if (seconds < 86_400) return `${String(Math.floor(seconds / 3600))}h${two(Math.floor(seconds / 60) % 60)}m`
  return `${String(Math.floor(seconds / 86_400))}d${two(Math.floor(seconds / 3600) % 24)}h`
}

const two = (value: number): string => String(value).padStart(2, '0')
