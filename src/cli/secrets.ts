import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { RotateAnswer } from '../agent/api.ts'
import { KeepwardError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { readConfig } from '../config/read.ts'
import type { Authentication, RouterSpec } from '../router/spec.ts'
import { call } from './client.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'
import { newHmacKey, newNkeySeed, newPassword, newSenderKey, newWebhookKey } from './new-secret.ts'

const makers = {
  pass: newPassword,
  hmac: newHmacKey,
  sender: newSenderKey,
  nkey: newNkeySeed,
  webhook: newWebhookKey,
} as const
const isKind = (word: unknown): word is keyof typeof makers => typeof word === 'string' && Object.hasOwn(makers, word)

/** `keepward secrets new`: prints a secret that hosts are to share; nothing is kept of it. */
export function newSecret({ json }: Globals, options: Record<string, unknown>): Promise<number> {
  const { for: kind } = options
  if (!isKind(kind)) throw invalid(`--for is ${String(kind)}, must be ${Object.keys(makers).join(', ')}`)
  const secret = makers[kind]().revealText()
  return say(json, secret, { for: kind, secret })
}

/** `keepward secrets rotate WHAT`: of `notifiers` the agent makes it; of a router, what is to be done on its hosts. */
export function rotate(globals: Globals, options: Record<string, unknown>, what = ''): Promise<number> {
  return what === 'notifiers' ? rotateNotifiers(globals, options) : rotateRouter(globals, options, what)
}

async function rotateNotifiers(globals: Globals, { grace }: Record<string, unknown>): Promise<number> {
  const seconds = typeof grace === 'string' && /^[0-9]{1,6}$/.test(grace) ? Number(grace) : NaN
  if (!(seconds <= maxGraceS)) throw invalid(`--grace is ${String(grace)}, must be 0 to ${String(maxGraceS)} seconds`)
  const path = `/v1/secrets/rotate-notifier-keys?graceS=${String(seconds)}`
  const answer = await call<RotateAnswer>(globals, 'POST', path)
  const until = new Date(answer.untilMs).toLocaleString('sv')
  const text = `The agent has a new key for notifiers; the one before is honoured until ${until}.\nSenders that are not root need the new one of their router until then: keepward notify-key ROUTER`
  return say(globals.json, text, answer)
}

const maxGraceS = 604_800

async function rotateRouter(globals: Globals, options: Record<string, unknown>, id: string): Promise<number> {
  const { config } = await readConfig(resolve(globals.config), hostname())
  const router = config.routers.find((one) => one.id === id)
  if (router === undefined) throw new KeepwardError('router-unknown', `${globals.config} has no router ${id}`)
  const { authentication } = router
  switch (authentication.kind) {
    case 'none':
      throw invalid(`Router ${id} has no authentication, so that there is nothing to rotate`)
    case 'hmac':
      return sayHmac(globals, router, authentication)
    case 'pass':
      return sayPassword(globals, id, options['acceptRoleChange'] === true)
  }
}

type Hmac = Extract<Authentication, { kind: 'hmac' }>

/** No step leaves a host whose adverts another one does not take: each key is known everywhere before it signs. */
function sayHmac({ json }: Globals, { id }: RouterSpec, { keys, activeKey }: Hmac): Promise<number> {
  const next = freeId(keys)
  const key = reveal(newHmacKey())
  const old = keys.map((one) => String(one.id)).join(' and ')
  const steps = [
    `On every host of ${id}, put this key into a new file of root alone (umask 077), and name it with id ${String(next)} below hmac.keys, beside ${old}; activeKey stays ${String(activeKey)}. keepward apply. The key: ${key}`,
    `Once every host has it: activeKey: ${String(next)} on every host, one after the other. keepward apply.`,
    `Once every host signs with it: take the key ${String(activeKey)} out of hmac.keys on every host. keepward apply. Remove its file.`,
  ]
  return say(json, numbered(steps), { router: id, keyId: next, key, steps })
}

function freeId(keys: Hmac['keys']): number {
  const used = new Set(keys.map(({ id }) => id))
  const free = Array.from({ length: 255 }, (_, index) => index + 1).filter((id) => !used.has(id))
  const next = free.find((id) => id > Math.max(...used)) ?? free[0]
  if (next === undefined || keys.length >= maxKeys)
    throw invalid(`There are ${String(keys.length)} keys: remove the old`)
  return next
}

/** As many as the config takes. */
const maxKeys = 8

function sayPassword({ json }: Globals, id: string, accepted: boolean): Promise<number> {
  if (!accepted) {
    throw new KeepwardError(
      'role-change-not-accepted',
      `The password of router ${id} cannot be rotated without a role change: ${why}`,
      {
        hint: 'move to hmac, whose keys are rotated without one; or do it in a maintenance window, with --accept-role-change',
      },
    )
  }
  const password = reveal(newPassword())
  const steps = [
    `Know what happens: ${why}.`,
    `On every host of ${id}, as close together as you can, put the new password where the config takes it from: ${password}`,
    'keepward apply on every host (needed where a command gives it), then keepward status on each: one is primary again.',
  ]
  return say(json, numbered(steps), { router: id, password, steps })
}

const why =
  'VRRPv2 knows one password, so that hosts with the old one and hosts with the new one do not hear each other, and on both sides one becomes primary, with the same addresses, until the last host has the new one'

const reveal = (secret: Secret): string => secret.revealText()
const numbered = (steps: readonly string[]): string => steps.map((step, at) => `${String(at + 1)}. ${step}`).join('\n')
const invalid = (message: string): KeepwardError => new KeepwardError('request-invalid', message)

function say(json: boolean, text: string, value: unknown): Promise<number> {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`)
  return Promise.resolve(ExitStatus.ok)
}
