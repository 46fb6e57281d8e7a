import { lstatSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { countText } from '../base/count.ts'
import { KeepwardError } from '../base/error.ts'
import { readTrustedConfig } from '../config/trusted.ts'
import { weakeningsOf } from '../config/weakening.ts'
import { privilegesOf, type Privileges } from '../linux/privileges.ts'
import { failed, ok, unknown, warning, type Answer, type Check, type Finding } from './check.ts'
import type { ConfigFound, Subject } from './subject.ts'

/** The config, as the agent asks it at each load. */
export const configChecks: readonly Check[] = [
  { name: 'config', wanted: 'valid, or none yet', look: valid },
  {
    name: 'config trust',
    wanted: 'root alone can change it, and it is signed where that is asked for',
    look: trusted,
  },
]

/** What `keepward doctor --security` looks at beside the settings. */
export const securityChecks: readonly Check[] = [
  ...configChecks,
  { name: 'signing key', wanted: 'only where configs are made', look: signingKey },
]

/** Each setting of a config that weakens it; none of a config that could not be read. */
export function weakeningFindings({ state, settings }: Pick<ConfigFound, 'state' | 'settings'>): Finding[] {
  if (state.kind !== 'loaded') return []
  return weakeningsOf(settings).map(({ setting, found, opens, safe, instead }) => ({
    name: setting,
    status: 'warning',
    found: `${shortened(found)}: ${opens}`,
    wanted: safe,
    fix: instead,
  }))
}

/** `running`: the digest of what the agent on this host runs, undefined when none answers. */
export function inForceFinding({ file, state }: ConfigFound, running: string | undefined): Finding {
  const check = { name: 'config in force', wanted: `what runs is ${file}` }
  if (running === undefined) return { ...check, status: 'ok', found: 'no agent answers this user', fix: undefined }
  if (state.kind === 'loaded' && state.hash === running) {
    return { ...check, status: 'ok', found: `the agent runs ${file}`, fix: undefined }
  }
  const found = `the agent runs another config, with the digest ${running.slice(0, 12)}; this is about ${file}`
  return { ...check, status: 'warning', found, fix: '`keepward plan` shows the difference, `keepward apply` ends it' }
}

/** `pid`: of the agent that answers on this host; undefined when none does. */
export const processFinding = (pid: number | undefined): Finding =>
  privilegesFinding(pid === undefined ? undefined : privilegesOf(pid))

/** What the agent may do; undefined when none answers. */
export function privilegesFinding(privileges: Pick<Privileges, 'uid' | 'capabilities'> | undefined): Finding {
  const check = { name: 'agent process', wanted: 'a user of its own without capabilities' }
  if (privileges === undefined) return { ...check, status: 'ok', found: 'no agent answers this user', fix: undefined }
  const { uid, capabilities } = privileges
  const has = capabilities.length === 1 ? (capabilities[0] ?? '') : `${String(capabilities.length)} capabilities`
  const found = `uid ${String(uid)}, ${capabilities.length === 0 ? 'no capability' : has}`
  if (uid !== 0 && capabilities.length === 0) return { ...check, status: 'ok', found, fix: undefined }
  return { ...check, status: 'warning', found, fix: 'run the shipped units: keepward-host has what needs root' }
}

function valid({ config: { file, state, settings } }: Subject): Answer {
  switch (state.kind) {
    case 'loaded':
      return ok(`${file} is valid: ${countText(settings.routers.length, 'router')}`)
    case 'absent':
      return ok(`there is no ${file} yet; defaults are used`)
    case 'hidden':
      return unknown(`${file} may not be read by this user; defaults are used`, 'run it as root: sudo keepward doctor')
    case 'broken':
      return failed(state.reason, `keepward --config ${file} validate`)
  }
}

/** What the agent would refuse is thrown. */
async function trusted({ config: { file, state } }: Subject): Promise<Answer> {
  if (state.kind === 'absent') return ok('there is no file yet')
  if (state.kind === 'hidden')
    return unknown('the file may not be read by this user', 'run it as root: sudo keepward doctor')
  const found = await readTrustedConfig(file, hostname())
  try {
    const { signedBy } = await found.load()
    return ok(`root alone; ${signedBy === undefined ? 'no signature is asked for' : `signed by the key ${signedBy}`}`)
  } catch (error) {
    // The check before this one has said so.
    if (error instanceof KeepwardError && error.code === 'config-invalid') return ok('root alone')
    throw error
  }
}

function signingKey({ config: { file } }: Subject): Answer {
  const path = `${dirname(file)}/config-signing.key`
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return ok(`none beside ${file}`)
  return warning(`${path}: whoever takes over this host can sign configs for all`, 'keep it where configs are made')
}

const most = 5

function shortened(values: readonly string[]): string {
  const rest = values.length - most
  return rest > 0 ? `${values.slice(0, most).join(', ')} and ${String(rest)} more` : values.join(', ')
}
