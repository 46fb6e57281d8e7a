import { z } from 'zod'
import type { VaultLogin } from '../base/vault-login.ts'
import { absolutePath, httpsAddress, vaultPath, vaultWord } from './form.ts'
import { localSource } from './secret-schema.ts'

const appRole = z.strictObject(
  {
    mount: vaultPath.prefault('approle').meta({ description: 'Where AppRole is mounted, below auth/.' }),
    roleId: vaultWord.meta({
      description: 'Names the role; no secret.',
      examples: ['db02de05-fa39-4855-059b-67221c5c2f63'],
    }),
    secretId: localSource.meta({
      description: 'Where the secret id comes from; it must be good for more than one login.',
      examples: [{ file: '/etc/keepward/secrets/vault' }],
    }),
  },
  'must be a map with the keys roleId and secretId',
)

const login = z
  .strictObject(
    {
      token: localSource.optional().meta({
        description:
          'Where a token comes from. It is renewed; read again once it ends, so that whoever makes it can put another in its place.',
        examples: [{ credential: 'vault-token' }],
      }),
      appRole: appRole.optional().meta({
        description: 'Log in as this role, and again before a token ends that cannot be renewed.',
        examples: [{ roleId: 'keepward', secretId: { file: '/etc/keepward/secrets/vault' } }],
      }),
    },
    'must be a map with the key token or appRole',
  )
  .transform((entry, context): VaultLogin => {
    const { token, appRole: role } = entry
    if (token !== undefined && role === undefined) return { kind: 'token', token }
    if (role !== undefined && token === undefined) return { kind: 'app-role', ...role }
    const message = `names ${token === undefined ? 'no login' : 'token and appRole'}, must name one of token and appRole`
    context.addIssue({ code: 'custom', message, input: entry, params: { said: true } })
    return z.NEVER
  })

/** Each process has a login of its own: neither can read what is the other's. */
export const vaultSchema = z
  .strictObject(
    {
      address: httpsAddress.meta({ description: 'Vault or OpenBao.', examples: ['https://vault.example.net:8200'] }),
      caFile: absolutePath(200).meta({
        description:
          'CA certificates in PEM; one of them must have signed that of Vault, and no other is believed. A file of root.',
        examples: ['/etc/keepward/vault-ca.pem'],
      }),
      namespace: vaultPath.optional().meta({ description: 'A namespace of it.', examples: ['network'] }),
      host: login.optional().meta({
        description: 'As whom keepward-host comes to Vault, for the passwords of routers.',
        examples: [{ appRole: { roleId: 'keepward-host', secretId: { file: '/etc/keepward/secrets/vault' } } }],
      }),
      agent: login.optional().meta({
        description: 'As whom the agent comes to Vault, for the keys of senders.',
        examples: [{ token: { credential: 'vault-token' } }],
      }),
    },
    'must be a map with the keys address, caFile, host and agent',
  )
  .optional()

export type VaultEntry = NonNullable<z.output<typeof vaultSchema>>
