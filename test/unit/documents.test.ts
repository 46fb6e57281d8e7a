import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { generated } from '../../script/write-docs.ts'
import { loadConfig } from '../../src/config/load.ts'

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

describe('documents', () => {
  it.each(Object.entries(generated))('%s says what the code says (script/node script/write-docs.ts)', (file, text) => {
    expect(read(file)).toBe(text())
  })

  it('every document that README names is there', () => {
    const named = [...read('README.md').matchAll(/\]\(([^):]+)\)/g)].map(([, file]) => file ?? '')
    expect(named.length).toBeGreaterThan(5)
    for (const file of named) expect(read(file).length, file).toBeGreaterThan(0)
  })

  it('the sink of docs/neutron.md is one that the agent takes', () => {
    const [, sinks = ''] = /```yaml\n(sinks:[^`]+)```/.exec(read('docs/neutron.md')) ?? []
    const [sink] = loadConfig(`version: 1\nrouters: []\n${sinks}`, 'agent.yaml', 'host-a').sinks
    expect(sink).toMatchObject({ type: 'neutron', user: 'keepward', host: 'network-1', plaintext: false })
  })

  it('every file and test that SECURITY.md names is there', () => {
    const named = [...read('SECURITY.md').matchAll(/`((?:src|test)\/[^`]+\.ts)`/g)].map(([, file]) => file ?? '')
    expect(named.length).toBeGreaterThan(10)
    for (const file of named) expect(read(file).length, file).toBeGreaterThan(0)
  })
})
