import { Argument, Command } from 'commander'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { completionScript } from './completion.ts'
import { buildProgram } from './main.ts'

const directory = mkdtempSync(join(tmpdir(), 'kwt-completion-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const program = await buildProgram(() => undefined)
const script = (shell: string): string => {
  const path = join(directory, shell)
  writeFileSync(path, completionScript(program, shell))
  return path
}
const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0

describe('completion of bash', () => {
  const path = script('bash')
  writeFileSync(join(directory, 'agent.yaml'), '')

  /** What a real bash offers after these words; the last is what is being typed. */
  const offered = (...words: string[]): string[] => {
    const body = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _keepward; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', body, path, ...words], {
      encoding: 'utf8',
      cwd: directory,
    })
    expect(stderr).toBe('')
    return stdout.split('\n').filter((line) => line !== '')
  }

  test.each([
    { words: ['keepward', 'ev'], wanted: ['events'] },
    { words: ['keepward', 'lab', 'kill-'], wanted: ['kill-host', 'kill-keepalived', 'kill-agent'] },
    { words: ['keepward', '--config', 'status', 'lab', 'he'], wanted: ['heal'] },
    { words: ['keepward', '--config', '=', 'x', 'lab', 'he'], wanted: ['heal'] },
    { words: ['keepward', '--json', 'pl'], wanted: ['plan'] },
    { words: ['keepward', 'events', '--ve'], wanted: ['--version', '--verify'] },
    { words: ['keepward', 'events', '--since', ''], wanted: [] },
    { words: ['keepward', 'events', '--so'], wanted: ['--socket'] },
    { words: ['keepward', '-c', 'ag'], wanted: ['agent.yaml'] },
    { words: ['keepward', '--config', '='], wanted: ['agent.yaml', 'bash'] },
    { words: ['keepward', 'completion', ''], wanted: ['bash', 'zsh', 'fish'] },
    { words: ['keepward', 'notify', ''], wanted: ['primary', 'backup', 'fault', 'unknown'] },
    { words: ['keepward', 'agent', 'x'], wanted: [] },
  ])('offers $wanted after $words', ({ words, wanted }) => {
    const first = offered(...words).filter((word) => words.at(-1) !== '' || !word.startsWith('-'))
    expect(first.toSorted()).toEqual(wanted.toSorted())
  })

  test('offers every command at first', () => {
    expect(offered('keepward', '').filter((word) => !word.startsWith('-'))).toEqual([
      'agent',
      'host',
      'validate',
      'plan',
      'apply',
      'config',
      'status',
      'watch',
      'events',
      'audit',
      'explain',
      'doctor',
      'notify',
      'notify-key',
      'secrets',
      'nats',
      'completion',
      'lab',
    ])
  })
})

describe('completion of zsh', () => {
  test.skipIf(!has('zsh'))('is zsh', () => {
    const { status, stderr } = spawnSync('zsh', ['-n', script('zsh')], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })
})

describe('completion of fish', () => {
  test.skipIf(!has('fish'))('is fish', () => {
    const { status, stderr } = spawnSync('fish', ['-n', script('fish')], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })
})

/** Small enough to be read: one command with an option, one with a choice. */
const small = new Command('kw').helpOption(false).helpCommand(false)
small.option('-c, --config <file>', "the agent's file")
small.command('go').description('begin').helpOption(false).option('--slow', 'take: time')
small
  .command('say')
  .description('speak')
  .helpOption(false)
  .addArgument(new Argument('<word>').choices(['yes', 'no']))

test('completionScript() writes zsh', () => {
  expect(completionScript(small, 'zsh')).toMatchInlineSnapshot(`
    "#compdef kw
    # zsh completion of kw: put it as _kw into a directory of $fpath, or source it after compinit
    _kw() {
      local at=kw takes='' i
      local -a choices
      for ((i = 2; i < CURRENT; i++)); do
        if [[ -n $takes ]]; then takes=''; continue; fi
        case "$at \${words[i]}" in
          'kw -c') takes=file ;;
          'kw --config') takes=file ;;
          'kw go') at='kw go' ;;
          'kw say') at='kw say' ;;
          'kw go -c') takes=file ;;
          'kw go --config') takes=file ;;
          'kw say -c') takes=file ;;
          'kw say --config') takes=file ;;
        esac
      done
      case $takes in
        file) _files; return ;;
        value) return 1 ;;
      esac
      case $at in
        'kw')
          choices=(
            'go:begin'
            'say:speak'
            '-c:the agent'\\''s file'
            '--config:the agent'\\''s file'
          ) ;;
        'kw go')
          choices=(
            '-c:the agent'\\''s file'
            '--config:the agent'\\''s file'
            '--slow:take: time'
          ) ;;
        'kw say')
          choices=(
            'yes:yes'
            'no:no'
            '-c:the agent'\\''s file'
            '--config:the agent'\\''s file'
          ) ;;
      esac
      _describe -o kw choices
    }
    if [[ \${funcstack[1]} == _kw ]]; then _kw "$@"; else compdef _kw kw; fi
    "
  `)
})

test('completionScript() writes fish', () => {
  expect(completionScript(small, 'fish')).toMatchInlineSnapshot(`
    "# fish completion of kw: put it into ~/.config/fish/completions/kw.fish
    function __kw_at
      set -l at kw
      set -l takes ''
      for word in (commandline -opc)[2..-1]
        if test -n "$takes"
          set takes ''
          continue
        end
        switch "$at $word"
          case 'kw -c'
            set takes file
          case 'kw --config'
            set takes file
          case 'kw go'
            set at 'kw go'
          case 'kw say'
            set at 'kw say'
          case 'kw go -c'
            set takes file
          case 'kw go --config'
            set takes file
          case 'kw say -c'
            set takes file
          case 'kw say --config'
            set takes file
        end
      end
      test "$at" = "$argv[1]"
    end
    complete -c kw -f
    complete -c kw -n '__kw_at \\'kw\\'' -a 'go' -d 'begin'
    complete -c kw -n '__kw_at \\'kw\\'' -a 'say' -d 'speak'
    complete -c kw -n '__kw_at \\'kw\\'' -s c -r -F -d 'the agent\\'s file'
    complete -c kw -n '__kw_at \\'kw\\'' -l config -r -F -d 'the agent\\'s file'
    complete -c kw -n '__kw_at \\'kw go\\'' -s c -r -F -d 'the agent\\'s file'
    complete -c kw -n '__kw_at \\'kw go\\'' -l config -r -F -d 'the agent\\'s file'
    complete -c kw -n '__kw_at \\'kw go\\'' -l slow -d 'take: time'
    complete -c kw -n '__kw_at \\'kw say\\'' -a 'yes' -d 'yes'
    complete -c kw -n '__kw_at \\'kw say\\'' -a 'no' -d 'no'
    complete -c kw -n '__kw_at \\'kw say\\'' -s c -r -F -d 'the agent\\'s file'
    complete -c kw -n '__kw_at \\'kw say\\'' -l config -r -F -d 'the agent\\'s file'
    "
  `)
})

test('completionScript() refuses a shell that it does not know', () => {
  expect(() => completionScript(small, 'tcsh')).toThrow('There is no completion for tcsh, only for bash, zsh, fish')
})
