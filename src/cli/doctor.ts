import type { Globals } from './main.ts'
export async function doctor(_g: Globals): Promise<number> {
  await Promise.resolve()
  return 0
}
