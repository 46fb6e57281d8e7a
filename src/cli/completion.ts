import type { Command } from 'commander'
import { KeepwardError } from '../base/error.ts'
import { ExitStatus } from './exit-status.ts'
import { shells, type Shell } from './shells.ts'

/** `keepward completion SHELL`: a script for the shell to read at its start. */
export function completion(program: Command, shell: string): number {
  process.stdout.write(completionScript(program, shell))
  return ExitStatus.ok
}

/** Completes commands, options, and the words that an argument is limited to. Throws `request-invalid`. */
export function completionScript(program: Command, shell: string): string {
  const known = shells.find((one) => one === shell)
  if (known === undefined)
    throw new KeepwardError('request-invalid', `There is no completion for ${shell}, only for ${shells.join(', ')}`)
  const name = program.name()
  return `${writers[known](name, placesOf(program, []))}\n`
}

/** What may be written after a command. */
interface Place {
  /** The words up to here: `keepward lab up`. */
  readonly path: string
  readonly commands: readonly Word[]
  readonly arguments: readonly Word[]
  /** Its own and those of the commands above it, which may be written here too. */
  readonly options: readonly Flag[]
}

interface Word {
  readonly word: string
  readonly what: string
}

interface Flag extends Word {
  readonly takes: 'nothing' | 'file' | 'value'
}

function placesOf(command: Command, above: readonly Command[]): Place[] {
  const chain = [...above, command]
  const help = command.createHelp()
  const commands = help.visibleCommands(command).filter((one) => command.commands.includes(one))
  const place: Place = {
    path: chain.map((one) => one.name()).join(' '),
    commands: commands.map((one) => ({ word: one.name(), what: one.description() })),
    arguments: command.registeredArguments.flatMap(({ argChoices = [] }) =>
      argChoices.map((word) => ({ word, what: word })),
    ),
    options: unique(chain.flatMap(flagsOf)),
  }
  return [place, ...commands.flatMap((one) => placesOf(one, chain))]
}

function flagsOf(command: Command): Flag[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ short, long, description: what, flags }) => {
      const takes = /<(file|path)>/.test(flags) ? 'file' : flags.includes('<') ? 'value' : 'nothing'
      return [short, long].filter((word) => word !== undefined).map((word) => ({ word, what, takes }) as const)
    })
}

/** `--help` is an option of every command. */
const unique = (flags: readonly Flag[]): Flag[] => [...new Map(flags.map((flag) => [flag.word, flag])).values()]

const writers: Readonly<Record<Shell, (name: string, places: readonly Place[]) => string>> = {
  bash: (
    name,
    places,
  ) => `# bash completion of ${name}: source it, or put it into /usr/share/bash-completion/completions/${name}
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} at=${name} takes='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    # bash splits --option=value into three words.
    if [[ \${COMP_WORDS[i]} == '=' ]]; then continue; fi
    if [[ -n $takes ]]; then takes=''; continue; fi
    case "$at \${COMP_WORDS[i]}" in
${walk(places, '      ')}
    esac
  done
  if [[ $cur == '=' ]]; then cur=''; fi
  case $takes in
    file) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    value) COMPREPLY=(); return ;;
  esac
  case $at in
${places
  .map(
    (place) =>
      `    ${quote(place.path)}) words=${quote(
        wordsOf(place)
          .map(({ word }) => word)
          .join(' '),
      )} ;;`,
  )
  .join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _${name} ${name}`,

  zsh: (name, places) => `#compdef ${name}
# zsh completion of ${name}: put it as _${name} into a directory of $fpath, or source it after compinit
_${name}() {
  local at=${name} takes='' i
  local -a choices
  for ((i = 2; i < CURRENT; i++)); do
    if [[ -n $takes ]]; then takes=''; continue; fi
    case "$at \${words[i]}" in
${walk(places, '      ')}
    esac
  done
  case $takes in
    file) _files; return ;;
    value) return 1 ;;
  esac
  case $at in
${places
  .map(
    (place) => `    ${quote(place.path)})
      choices=(
${wordsOf(place)
  .map(({ word, what }) => `        ${quote(`${word}:${what}`)}`)
  .join('\n')}
      ) ;;`,
  )
  .join('\n')}
  esac
  _describe -o ${name} choices
}
if [[ \${funcstack[1]} == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi`,

  fish: (name, places) => `# fish completion of ${name}: put it into ~/.config/fish/completions/${name}.fish
function __${name}_at
  set -l at ${name}
  set -l takes ''
  for word in (commandline -opc)[2..-1]
    if test -n "$takes"
      set takes ''
      continue
    end
    switch "$at $word"
${places
  .flatMap(({ path, options, commands }) => [
    ...options
      .filter(({ takes }) => takes !== 'nothing')
      .map(({ word, takes }) => `      case ${quoteFish(`${path} ${word}`)}\n        set takes ${takes}`),
    ...commands.map(
      ({ word }) => `      case ${quoteFish(`${path} ${word}`)}\n        set at ${quoteFish(`${path} ${word}`)}`,
    ),
  ])
  .join('\n')}
    end
  end
  test "$at" = "$argv[1]"
end
complete -c ${name} -f
${places.flatMap((place) => fishLines(name, place)).join('\n')}`,
}

const wordsOf = ({ commands, arguments: choices, options }: Place): Word[] => [...commands, ...choices, ...options]

/** Cases that follow the words already written: an option takes the next word, a command leads to another place. */
function walk(places: readonly Place[], indent: string): string {
  return places
    .flatMap(({ path, options, commands }) => [
      ...options
        .filter(({ takes }) => takes !== 'nothing')
        .map(({ word, takes }) => `${indent}${quote(`${path} ${word}`)}) takes=${takes} ;;`),
      ...commands.map(({ word }) => `${indent}${quote(`${path} ${word}`)}) at=${quote(`${path} ${word}`)} ;;`),
    ])
    .join('\n')
}

function fishLines(name: string, { path, commands, arguments: choices, options }: Place): string[] {
  const line = (rest: string, what: string) =>
    `complete -c ${name} -n ${quoteFish(`__${name}_at '${path}'`)} ${rest} -d ${quoteFish(what)}`
  return [
    ...[...commands, ...choices].map(({ word, what }) => line(`-a ${quoteFish(word)}`, what)),
    ...options.map(({ word, what, takes }) => {
      const flag = word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`
      return line({ nothing: flag, value: `${flag} -x`, file: `${flag} -r -F` }[takes], what)
    }),
  ]
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const quoteFish = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`
