import { z } from 'zod'
import type { SecretSource } from '../base/secret-source.ts'
import { absolutePath, commandWord, credentialName, variableName } from './form.ts'

/** The keys of a map that says where one secret comes from: exactly one of them, see {@link sourceIn}. */
export const secretFields = {
  file: absolutePath(200)
    .optional()
    .meta({
      description: 'A file of root, or of the user of the process that reads it, mode 0600.',
      examples: ['/etc/keepward/secrets/r1'],
    }),
  credential: credentialName.optional().meta({
    description:
      'A credential of the service manager: `LoadCredential=` of the unit that reads it, by $CREDENTIALS_DIRECTORY.',
    examples: ['r1'],
  }),
  command: z
    .array(commandWord, 'must be a list of the program and its arguments')
    .min(1, 'must be a list of the program and its arguments')
    .max(16, 'must be a list of at most 16 words')
    .refine(([program = '']) => absolutePath(200).safeParse(program).success, {
      error: 'must begin with the absolute path of a program',
    })
    .optional()
    .meta({
      description:
        'What this program says within 5 s and 4 KiB, in a clean environment and without a shell. The program must be root’s alone, with no link on its way. Run at the start; for a password, at each plan and apply too.',
      examples: [['/usr/local/bin/get-secret', 'r1']],
    }),
  environment: variableName.optional().meta({
    description:
      'A variable of the environment of the process that reads it: whoever sees its unit or its environment sees it.',
    examples: ['KEEPWARD_R1'],
  }),
}

const sourceKinds = ['file', 'credential', 'command', 'environment'] as const

type SourceEntry = { readonly [K in (typeof sourceKinds)[number]]?: z.output<(typeof secretFields)[K]> }

/** The one source that a map names, or what is wrong with it. */
export function sourceIn(entry: SourceEntry): SecretSource | { readonly kind: 'wrong'; readonly says: string } {
  const given = sourceKinds.filter((kind) => entry[kind] !== undefined)
  const wanted = 'must name one of file, credential, command and environment'
  if (given.length !== 1)
    return {
      kind: 'wrong',
      says: given.length === 0 ? `names no source, ${wanted}` : `names ${given.join(' and ')}, ${wanted}`,
    }
  const { file, credential, command, environment } = entry
  if (file !== undefined) return { kind: 'file', path: file }
  if (credential !== undefined) return { kind: 'credential', name: credential }
  if (command !== undefined) return { kind: 'command', argv: command }
  return { kind: 'environment', variable: environment ?? '' }
}
