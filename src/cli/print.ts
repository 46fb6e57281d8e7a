import { jsonText, withoutControls } from '../base/controls.ts'
import type { Globals } from './globals.ts'

/** A value as JSON, or as text for a person; what others said in it cannot move the terminal. */
export function print<T>({ json }: Pick<Globals, 'json'>, value: T, render: (value: T) => string): void {
  process.stdout.write(`${json ? jsonText(value) : render(withoutControls(value))}\n`)
}
