import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { passedIn, proofsOf, provingFiles, unproven, unprovenFiles, type Report } from './proofs.ts'

/**
 * Run the checks and the tiers, count what every one of them says, and print the sum as the last line. Tiers of one line run side by
 * side: a lab mostly waits. A tier that needs root is skipped by name without it; a check counts as one test.
 */
interface Count {
  passed: number
  failed: number
  skipped: number
}

const tools = (name: string) => join('node_modules', name)
const checks: Readonly<Record<string, readonly string[]>> = {
  'check: types': [tools('typescript/bin/tsc'), '--noEmit'],
  'check: lint': [tools('eslint/bin/eslint.js'), '.', '--max-warnings=0'],
  'check: format': [tools('prettier/bin/prettier.cjs'), '--check', '--log-level=warn', '.'],
}
const tiers = [
  { names: ['unit'], root: false },
  { names: ['agent'], root: false },
  { names: ['root', 'lab'], root: true },
] as const

const total: Count = { passed: 0, failed: 0, skipped: 0 }
const reports: Report[] = []
const isRoot = process.getuid?.() === 0
for (const [name, words] of Object.entries(checks)) add(name, check(words))
for (const { names, root } of tiers) {
  if (root && !isRoot) {
    for (const name of names) console.log(`tier ${name}: skipped, it needs root (namespaces, keepalived)`)
    total.skipped += names.length
    continue
  }
  const counts = await Promise.all(names.map(runTier))
  names.forEach((name, at) => {
    add(`tier ${name}`, counts[at] ?? { passed: 0, failed: 1, skipped: 0 })
  })
}
add('check: proofs', checkProofs())
console.log(`${String(total.passed)} passed, ${String(total.failed)} failed, ${String(total.skipped)} skipped`)
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1

function add(name: string, count: Count): void {
  console.log(
    `${name}: ${String(count.passed)} passed, ${String(count.failed)} failed, ${String(count.skipped)} skipped`,
  )
  total.passed += count.passed
  total.failed += count.failed
  total.skipped += count.skipped
}

function check(words: readonly string[]): Count {
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit' })
  return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

/** Each test that SECURITY.md names, and those of each file that it names alone, must have passed, where their tier could run. */
function checkProofs(): Count {
  const security = readFileSync('SECURITY.md', 'utf8')
  const isAsked = (file: string) => isRoot || !/^test\/(?:root|lab)\//.test(file)
  const proofs = proofsOf(security).filter(({ file }) => isAsked(file))
  const missing = [
    ...unproven(proofs, passedIn(reports)).map(({ file, title }) => `a test that did not pass: ${file} ${title}`),
    ...unprovenFiles(provingFiles(security).filter(isAsked), reports).map((file) => `tests that did not pass: ${file}`),
  ]
  for (const what of missing) console.error(`SECURITY.md names ${what}`)
  if (missing.length > 0) return { passed: 0, failed: 1, skipped: 0 }
  return isRoot ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 0, skipped: 1 }
}

/** A tier whose report is missing, or that ran nothing, has failed. */
async function runTier(name: string): Promise<Count> {
  const directory = mkdtempSync(join(tmpdir(), 'keepward-test-'))
  const report = join(directory, 'report.json')
  try {
    const words = ['run', '--project', name, '--reporter=default', '--reporter=json', `--outputFile=${report}`]
    const child = spawn(process.execPath, [tools('vitest/vitest.mjs'), ...words], { stdio: 'inherit' })
    const [status] = (await once(child, 'exit')) as [number | null]
    const found = JSON.parse(readFileSync(report, 'utf8')) as Report & Record<string, number>
    const { numPassedTests, numFailedTests, numPendingTests } = found
    reports.push(found)
    const passed = numPassedTests ?? 0
    const failed = numFailedTests ?? 0
    const broken = failed === 0 && (status !== 0 || passed === 0) ? 1 : 0
    return { passed, failed: failed + broken, skipped: numPendingTests ?? 0 }
  } catch (error) {
    console.error(`tier ${name} left no report: ${String(error)}`)
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
