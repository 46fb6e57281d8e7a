import { describeError, KeepwardError } from '../base/error.ts'
import { connectNats, type Access } from '../report/nats/connect.ts'
import { forgetAgent } from '../report/nats/forget.ts'
import { nkeyOf } from '../report/nats/nkey.ts'
import { accountOf, accountText, agentPermissions, operatorInbox } from '../report/nats/permissions.ts'
import { setUpNats, type Done, type SetupOptions } from '../report/nats/setup.ts'
import { contextOf } from '../report/tls.ts'
import { table } from '../text/table.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { secretIn } from './key-file.ts'
import { print } from './print.ts'

/** `keepward nats setup`: make what agents report to, and say what was done. */
export async function setup({ json }: Globals, options: Record<string, unknown>): Promise<number> {
  await using connection = await connectToOne(options)
  const done = await setUpNats(connection, { replicas: replicasOf(options['replicas']) })
  print({ json }, done, render)
  return ExitStatus.ok
}

/** `keepward nats forget AGENT`: remove the states of an agent that is gone for good. */
export async function forget({ json }: Globals, options: Record<string, unknown>, agent = ''): Promise<number> {
  checkAgent(agent)
  await using connection = await connectToOne(options)
  const removed = await forgetAgent(connection, agent)
  print({ json }, { agent, removed }, () => `${removed} ${removed === 1 ? 'entry' : 'entries'} of ${agent} removed`)
  return ExitStatus.ok
}

const invalid = (message: string): KeepwardError => new KeepwardError('request-invalid', message)

function accessOf({ ca, nkey, creds, cert, key, plaintext }: Record<string, unknown>): Omit<Access, 'server'> {
  if (nkey !== undefined && creds !== undefined) throw invalid('--nkey and --creds exclude each other')
  if ((cert === undefined) !== (key === undefined)) throw invalid('--cert and --key are wanted together')
  return {
    ...{ plaintext: plaintext === true, name: 'keepward nats', inbox: operatorInbox },
    tls: contextOf({ ca: textIn(ca), cert: textIn(cert), key: textIn(key) }),
    identity: identityOf(nkey, creds),
  }
}

const textIn = (path: unknown): string | undefined =>
  typeof path === 'string' ? secretIn(path).revealText() : undefined

function identityOf(nkey: unknown, creds: unknown): Access['identity'] {
  if (typeof nkey === 'string') return { kind: 'nkey', seed: secretIn(nkey) }
  return typeof creds === 'string' ? { kind: 'creds', text: secretIn(creds) } : undefined
}

function replicasOf(word: unknown): SetupOptions['replicas'] {
  if (word === undefined) return undefined
  return word === '3' ? 3 : 1
}

/** The first that is there. */
async function connectToOne(options: Record<string, unknown>) {
  const { server } = options
  const servers = Array.isArray(server) ? server.filter((one) => typeof one === 'string') : []
  if (servers.length === 0)
    throw invalid('--server is missing: name at least one, such as tls://nats1.example.net:4222')
  const access = accessOf(options)
  const failures: string[] = []
  for (const server of servers) {
    try {
      return await connectNats({ ...access, server }, new AbortController().signal)
    } catch (error) {
      failures.push(describeError(error))
    }
  }
  throw new KeepwardError('nats-failed', failures.join('; '))
}

const render = (done: readonly Done[]): string =>
  table(
    ['STREAM', 'REPLICAS', 'STATE', 'WAS'],
    done.map(({ stream, what, replicas, details }) => [stream, String(replicas), words[what], details.join('; ')]),
  )

const words: Readonly<Record<Done['what'], string>> = {
  created: 'created',
  changed: 'changed',
  right: 'right already',
  newer: 'made by a newer Keepward, left alone',
}

/** `keepward nats public FILE`: what nats-server is told of whoever has that seed. */
export function publicKey({ json }: Globals, _options: Record<string, unknown>, file = ''): Promise<number> {
  const nkey = nkeyOf(secretIn(file).revealText().trim())?.publicKey
  if (nkey === undefined) throw invalid(`${file} holds no seed of an NKey of a user (SU...)`)
  print({ json }, { nkey }, () => nkey)
  return Promise.resolve(ExitStatus.ok)
}

/** `keepward nats permissions AGENT`: the account and user of one agent, for the config of nats-server. */
export function permissions({ json }: Globals, { nkey }: Record<string, unknown>, agent = ''): Promise<number> {
  checkAgent(agent)
  const publicKey = typeof nkey === 'string' ? nkey : `PUBLIC_NKEY_OF_${agent}`
  if (typeof nkey === 'string' && !/^U[A-Z2-7]{55}$/.test(nkey)) {
    const what = nkey.startsWith('SU') ? 'a seed, which stays with its agent' : 'not the public NKey of a user (U...)'
    throw invalid(`--nkey is ${what}`)
  }
  print({ json }, { agent, nkey: publicKey, account: accountOf(agent), ...agentPermissions(agent) }, () =>
    accountText(agent, publicKey),
  )
  return Promise.resolve(ExitStatus.ok)
}

function checkAgent(agent: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(agent)) throw invalid(`${agent} is not the id of an agent`)
}
