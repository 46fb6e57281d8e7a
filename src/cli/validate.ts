import { resolve } from 'node:path'
import { countText } from '../base/count.ts'
import { ConfigError } from '../config/problem.ts'
import { readConfigForHost } from '../doctor/host-config.ts'
import { ExitStatus } from './exit-status.ts'
import type { Globals } from './globals.ts'

/** `keepward validate`: every problem of the config file, one a line; needs no agent and changes nothing. */
export async function validate({ config, json }: Globals): Promise<number> {
  try {
    const { config: loaded, hash } = await readConfigForHost(resolve(config))
    const answer = { ok: true, file: config, digest: hash, routers: loaded.routers.length }
    process.stdout.write(
      json ? `${JSON.stringify(answer)}\n` : `${config} is valid: ${countText(answer.routers, 'router')}\n`,
    )
    return ExitStatus.ok
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    if (json) process.stdout.write(`${JSON.stringify({ ok: false, file: config, problems: error.problems })}\n`)
    else process.stderr.write(`${error.message}\n`)
    return ExitStatus.failed
  }
}
