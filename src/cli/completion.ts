import type { Command } from 'commander'
export function completion(_p: Command, _s: string): number {
  return 0
}
