import { z } from 'zod'
import type { Authentication } from '../router/spec.ts'
import { absolutePath, wholeNumber } from './form.ts'
import { secretFields, sourceIn } from './secret-schema.ts'

const hmac = z
  .strictObject(
    {
      keys: z
        .array(
          z.strictObject(
            {
              id: wholeNumber(1, 255).meta({
                description: 'Goes with each advert; a new key gets a new id.',
                examples: [1],
              }),
              file: absolutePath(200).meta({
                description: 'File of root alone: `hex:` and 64 to 128 hexadecimal digits. It never changes.',
                examples: ['/etc/keepward/secrets/r1-1'],
              }),
            },
            'must be a map with the keys id and file',
          ),
          'must be a list of keys, each a map of id and file',
        )
        .min(1, 'must be a list of at least one key')
        .max(8, 'must be a list of at most 8 keys')
        .meta({ description: 'Adverts signed with any of them are heard.' }),
      activeKey: wholeNumber(1, 255).meta({
        description: 'Id of the key that signs the own adverts.',
        examples: [1],
      }),
      mode: z.enum(['enforce', 'permissive'], 'must be enforce or permissive').prefault('enforce').meta({
        description: 'permissive also hears adverts without a signature: while hosts are moved to hmac, no longer.',
      }),
    },
    'must be a map with the keys keys and activeKey',
  )
  .meta({ description: 'Each advert is signed and heard once: needs keepalived 2.4.3 or newer, and clocks in step.' })

const pass = z
  .strictObject(secretFields, 'must be a map with one of the keys file, credential, command, environment and vault')
  .meta({
    description: 'Where the password of VRRPv2 comes from, 1 to 8 characters.',
    examples: [{ credential: 'r1' }],
  })

const passFile = absolutePath(200).meta({
  description: 'Short for pass with a file.',
  examples: ['/etc/keepward/secrets/r1'],
})

const example = { keys: [{ id: 1, file: '/etc/keepward/secrets/r1-1' }], activeKey: 1 }

export const authenticationSchema = z
  .union(
    [
      z.literal('none'),
      z.strictObject({ hmac: hmac.optional(), pass: pass.optional(), passFile: passFile.optional() }),
    ],
    'must be none or a map with the key hmac, pass or passFile',
  )
  .transform((value, context): Authentication => {
    if (value === 'none') return { kind: 'none' }
    const given = (['hmac', 'pass', 'passFile'] as const).filter((kind) => value[kind] !== undefined)
    const tell = (message: string) => {
      context.addIssue({ code: 'custom', message, input: value, params: { said: true } })
      return z.NEVER
    }
    if (given.length !== 1)
      return tell(`names ${given.join(' and ') || 'nothing'}, must name one of hmac, pass and passFile`)
    if (value.hmac !== undefined) return { kind: 'hmac', ...value.hmac }
    const source = sourceIn({ ...value.pass, ...(value.passFile === undefined ? {} : { file: value.passFile }) })
    return source.kind === 'wrong' ? tell(`${source.says} below pass`) : { kind: 'pass', password: source }
  })
  .prefault('none')
  .meta({
    description:
      'How the hosts of this router know each other. A password is for VRRPv2 alone and in clear text on the wire: it guards against a mistake, not against an attack. No secret ever stands in this file.',
    examples: ['none', { hmac: example }, { passFile: '/etc/keepward/secrets/r1' }],
  })
