import { createHash } from 'node:crypto'
import { completeConfig, type AgentConfig } from './agent-config.ts'
import { checkFlowSockets } from './flow-rules.ts'
import { identifier } from './form.ts'
import { checkHost, checkPaths } from './host-rules.ts'
import { checkHooks } from './hook-rules.ts'
import { ConfigError, formatPath, type Finding, type Path, type Problem } from './problem.ts'
import type { Review } from './review.ts'
import { checkRoutes } from './route-rules.ts'
import { draftRouters } from './router-draft.ts'
import { checkRouter } from './router-rules.ts'
import { schemaFindings, valueAt } from './schema-findings.ts'
import { configSchema } from './schema.ts'
import { checkSinks } from './sink-rules.ts'
import { checkStateChange } from './state-change-rules.ts'
import { checkVault } from './vault-rules.ts'
import { readSource, type Source } from './source.ts'

/**
 * The config in `text`, checked and complete. `hostname` is the host identity where the file names none; `known` is what is
 * known to be wrong already.
 * Throws one {@link ConfigError} (code `config-invalid`) with every problem there is.
 */
export function loadConfig(
  text: string,
  fileName: string,
  hostname: string,
  known: readonly Finding[] = [],
): AgentConfig {
  const source = readSource(text)
  const parsed = configSchema.safeParse(source.value)
  const findings = [
    ...(parsed.success ? [] : judgeValues(source)),
    ...judgeIdentity(source, hostname),
    ...judgeWhole(source),
    ...known,
  ]
  const problems = [...source.faults, ...source.refusals, ...findings.map((finding) => source.locate(finding))]
  if (problems.length > 0 || !parsed.success) throw new ConfigError(fileName, inFileOrder(problems))
  return completeConfig(parsed.data, hostname)
}

/** SHA-256 of the file, in hexadecimal, as sha256sum(1) says it: whether two hosts or two moments have the same. */
export function configHash(file: Uint8Array): string {
  return createHash('sha256').update(file).digest('hex')
}

/**
 * In a broken text what seems to be missing may have been cut off, and a key after the fault may have been read into
 * the wrong map: neither is held against it.
 */
function judgeValues(source: Source): Finding[] {
  const faultLines = new Set(source.faults.map(({ line }) => line))
  const firstFault = Math.min(...faultLines)
  return schemaFindings(configSchema, source.value).filter((finding) => {
    const { path, on } = finding
    if (source.refused.some((refused) => isWithin(path, refused))) return false
    if (faultLines.size === 0) return true
    const { line } = source.locate(finding)
    if (on === 'key') return line < firstFault
    return valueAt(source.value, path) !== undefined && !faultLines.has(line)
  })
}

const isWithin = (path: Path, outer: Path): boolean => outer.every((step, index) => path[index] === step)

function judgeIdentity(source: Source, hostname: string): Finding[] {
  if (source.faults.length > 0 || valueAt(source.value, ['agent', 'id']) !== undefined) return []
  const [refusal] = schemaFindings(identifier, hostname)
  if (refusal === undefined) return []
  return [{ path: ['agent', 'id'], on: 'value', message: `is missing, and the host name ${refusal.message}` }]
}

function judgeWhole(source: Source): Finding[] {
  if (source.faults.length > 0) return []
  const findings: Finding[] = []
  const review: Review = {
    tell: (path, message) => findings.push({ path, on: 'value', message }),
    name: (path) => {
      if (valueAt(source.value, path) === undefined) return `the default of ${formatPath(path)}`
      return `${formatPath(path)} on line ${source.lineOf(path)}`
    },
  }
  const routers = draftRouters(source.value)
  checkPaths(source.value, review)
  checkFlowSockets(source.value, routers, review)
  for (const router of routers) {
    checkRouter(router, review)
    checkRoutes(router, review)
  }
  checkHost(routers, review)
  checkStateChange(source.value, routers, review)
  checkSinks(source.value, review)
  checkVault(source.value, routers, review)
  checkHooks(source.value, routers, review)
  return findings
}

function inFileOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
}
