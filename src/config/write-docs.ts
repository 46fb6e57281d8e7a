import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configDocs } from './docs.ts'

/** Writes the generated documents of the config into docs/; a test holds them against the schema. */
const directory = join(import.meta.dirname, '..', '..', 'docs')

for (const [name, text] of Object.entries(configDocs())) {
  writeFileSync(join(directory, name), text)
  process.stdout.write(`wrote docs/${name}\n`)
}
