import { parseArgs } from 'node:util'
import { describeError, KeepwardError } from '../src/base/error.ts'
import { bringup } from './bringup.ts'
import { failover } from './failover.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { nats } from './nats.ts'
import { neutron } from './neutron.ts'
import { measureNoise } from './noise.ts'
import { printTable } from './print.ts'
import { reactions } from './reactions.ts'
import { reports } from './reports.ts'
import { resultOf, type Bench, type Options } from './result.ts'
import { split } from './split.ts'
import { statechange } from './statechange.ts'
import { storm } from './storm.ts'
import { removeLeftovers, removeStanding } from './world.ts'

/** `npm run bench -- [NAME...] [--json] [--runs N] [--quick]`; see docs/bench.md. */
const benches: Readonly<Record<string, Bench>> = {
  memory,
  bringup,
  latency,
  storm,
  failover,
  statechange,
  split,
  reactions,
  reports,
  nats,
  neutron,
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${describeError(error)}\n`)
  return 1
})

async function main(): Promise<number> {
  const { names, json, options } = readWords()
  if (process.geteuid?.() !== 0)
    throw new KeepwardError('permission-denied', 'The benches make namespaces and need root')
  let ending = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!ending) void clearAndEnd(signal)
      ending = true
    })
  }
  await removeLeftovers()
  for (const name of names) {
    const bench = benches[name]
    if (bench === undefined) continue
    const before = await measureNoise()
    const measured = await bench(options)
    const noise = { before, after: await measureNoise() }
    const result = resultOf(name, measured, noise)
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : printTable(result, measured))
  }
  return 0
}

/** What was just being made when the first removal looked is found by the second. */
async function clearAndEnd(signal: string): Promise<void> {
  process.stderr.write(`bench: ${signal}, cleaning up\n`)
  try {
    await removeStanding()
  } catch {
    // Namespaces that are still being made resist once.
  }
  await removeStanding().catch((error: unknown) => process.stderr.write(`bench: ${describeError(error)}\n`))
  process.exit(130)
}

function readWords(): { names: readonly string[]; json: boolean; options: Options } {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean' }, quick: { type: 'boolean' }, runs: { type: 'string' } },
    allowPositionals: true,
  })
  const known = Object.keys(benches)
  for (const name of positionals) {
    if (!known.includes(name))
      throw new KeepwardError('request-invalid', `There is no bench ${name}; there are ${known.join(', ')}`)
  }
  if (values.json === true && positionals.length !== 1)
    throw new KeepwardError('request-invalid', `--json prints one object: name one of ${known.join(', ')}`)
  const runs = values.runs === undefined ? undefined : Number(values.runs)
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1 && runs <= 100))
    throw new KeepwardError('request-invalid', `--runs is ${values.runs ?? ''}, must be from 1 to 100`)
  const say = (text: string) => void process.stderr.write(`${text}\n`)
  return {
    names: positionals.length === 0 ? known : positionals,
    json: values.json === true,
    options: { runs, quick: values.quick === true, say },
  }
}
