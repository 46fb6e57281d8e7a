import type { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ExitStatus } from './exit-status.ts'
import { buildProgram } from './main.ts'

const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8')

/** The commands, each with the words before it and the words after it: `lab cut <host>`. */
function usages(command: Command, before: string): { readonly usage: string; readonly command: Command }[] {
  return command.commands.flatMap((one) => {
    const words = one.registeredArguments.map((word) => (word.required ? ` <${word.name()}>` : ` [${word.name()}]`))
    const path = `${before} ${one.name()}`
    return [{ usage: `${path}${words.join('')}`, command: one }, ...usages(one, path)]
  })
}

const program = await buildProgram(() => undefined)
const all = usages(program, 'keepward')

/** What stands below the title of a command, up to the next title. */
const section = (usage: string): string => text.split(`### \`${usage}\`\n`)[1]?.split(/^##/m)[0] ?? ''

test('docs/cli.md describes every command, and no other', () => {
  const described = [...text.matchAll(/^### `(.*)`$/gm)].map((match) => match[1])
  expect(described.toSorted()).toEqual(all.map(({ usage }) => usage).toSorted())
})

test.each(all)('docs/cli.md names every option of $usage, and no other', ({ usage, command }) => {
  const items = section(usage)
    .split('\n')
    .filter((line) => line.startsWith('- '))
    .flatMap((line) => [...line.slice(0, line.indexOf(': ')).matchAll(/`(-[^`]*)`/g)].map((match) => match[1]))
  const flags = command.options.flatMap(({ flags }) => flags.split(/, (?=-)/))
  expect(items.toSorted()).toEqual(flags.toSorted())
})

test('docs/cli.md names every option of keepward itself', () => {
  const flags = program.options.flatMap((option) => option.flags.split(/, (?=-)/))
  expect(flags).toHaveLength(6)
  const head = text.slice(0, text.indexOf('\n## '))
  for (const flag of [...flags, '-h', '--help']) expect(head).toContain(`\`${flag}\``)
})

test('docs/cli.md names every exit status, and no other', () => {
  const table = text.slice(text.indexOf('## Exit status'), text.indexOf('## The agent'))
  const listed = [...table.matchAll(/^\| (\d+) +\|/gm)].map((match) => Number(match[1]))
  expect(listed).toEqual(Object.values(ExitStatus))
})
