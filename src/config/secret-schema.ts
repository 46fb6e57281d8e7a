import { z } from 'zod'
import type { LocalSource, SecretSource } from '../base/secret-source.ts'
import { absolutePath, commandWord, credentialName, variableName, vaultPath, vaultWord } from './form.ts'

/** The keys of a map that says where a secret of this host comes from: exactly one of them, see {@link sourceIn}. */
export const localFields = {
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
        'What this program says within 5 s and 4 KiB, in a clean environment and without a shell. The program must be root’s alone, with no link on its way. Run at the start; for a password, at each apply too (a plan asks as well, and changes nothing of what runs).',
      examples: [['/usr/local/bin/get-secret', 'r1']],
    }),
  environment: variableName.optional().meta({
    description:
      'A variable of the environment of the process that reads it: whoever sees its unit or its environment sees it.',
    examples: ['KEEPWARD_R1'],
  }),
}

const vault = z
  .strictObject(
    {
      mount: vaultPath.prefault('secret').meta({ description: 'Where the KV engine of version 2 is mounted.' }),
      path: vaultPath.meta({ description: 'The secret’s path within it.', examples: ['keepward/r1'] }),
      field: vaultWord.meta({ description: 'Which of its fields.', examples: ['password'] }),
    },
    'must be a map with the keys path and field',
  )
  .transform((where) => ({ kind: 'vault', ...where }) as const)

/** As {@link localFields}, and Vault. */
export const secretFields = {
  ...localFields,
  vault: vault.optional().meta({
    description:
      'A field of a secret of HashiCorp Vault or OpenBao, see the section vault. Read at the start; for a password, at each apply too (a plan asks as well, and changes nothing of what runs).',
    examples: [{ path: 'keepward/r1', field: 'password' }],
  }),
}

const localKinds = ['file', 'credential', 'command', 'environment'] as const

type LocalEntry = { readonly [K in (typeof localKinds)[number]]?: z.output<(typeof localFields)[K]> }
type Entry = LocalEntry & { readonly vault?: z.output<typeof secretFields.vault> }
interface Wrong {
  readonly kind: 'wrong'
  readonly says: string
}

/** The one source that a map names, or what is wrong with it. */
export function sourceIn(entry: Entry): SecretSource | Wrong {
  const given = [...localKinds, 'vault' as const].filter((kind) => entry[kind] !== undefined)
  const says = onlyOne(given, 'file, credential, command, environment and vault')
  return says ?? entry.vault ?? localIn(entry)
}

/** A secret that any of the sources may have. */
export const secretSource = z
  .strictObject(secretFields, 'must be a map with one of the keys file, credential, command, environment and vault')
  .transform((entry, context): SecretSource => {
    const source = sourceIn(entry)
    if (source.kind !== 'wrong') return source
    context.addIssue({ code: 'custom', message: source.says, input: entry, params: { said: true } })
    return z.NEVER
  })

export const localSource = z
  .strictObject(localFields, 'must be a map with one of the keys file, credential, command and environment')
  .transform((entry, context): LocalSource => {
    const given = localKinds.filter((kind) => entry[kind] !== undefined)
    const wrong = onlyOne(given, 'file, credential, command and environment')
    if (wrong === undefined) return localIn(entry)
    context.addIssue({ code: 'custom', message: wrong.says, input: entry, params: { said: true } })
    return z.NEVER
  })

function onlyOne(given: readonly string[], kinds: string): Wrong | undefined {
  if (given.length === 1) return undefined
  const names = given.length === 0 ? 'names no source' : `names ${given.join(' and ')}`
  return { kind: 'wrong', says: `${names}, must name one of ${kinds}` }
}

function localIn({ file, credential, command, environment }: LocalEntry): LocalSource {
  if (file !== undefined) return { kind: 'file', path: file }
  if (credential !== undefined) return { kind: 'credential', name: credential }
  if (command !== undefined) return { kind: 'command', argv: command }
  return { kind: 'environment', variable: environment ?? '' }
}
