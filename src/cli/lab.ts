import { Command } from 'commander'
export function labCommand(_e: (n: number) => void, _j: () => boolean): Command {
  return new Command('lab')
}
