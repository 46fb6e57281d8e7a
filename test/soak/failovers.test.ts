import { afterAll, beforeAll, expect, test } from 'vitest'
import { labFor, lastRole, type LabUnderTest } from '../support/lab.ts'

const rounds = 20
let it: LabUnderTest

beforeAll(async () => {
  // So many changes of role are on purpose here.
  const config = (text: string) => text.replaceAll(/^ {4}vrid: .*$/gm, '$&\n    flaps: { changes: 100 }')
  it = await labFor('soak', { hosts: 3, routers: 3, config })
})
afterAll(async () => {
  await it.down()
})

test(`${String(rounds)} failovers in a row: one primary each time, no condition left, every journal whole`, async () => {
  for (let round = 0; round < rounds; round += 1) {
    const id = `r${String((round % 3) + 1)}`
    const primary = await it.settled(id)
    const others = it.lab.hosts.map(({ name }) => name).filter((host) => host !== primary)
    if (round % 4 === 3) {
      await it.lab.killHost(primary)
      await anyPrimary(others, id)
      it.lab.startHost(primary)
    } else {
      await it.lab.killKeepalived(primary, id)
      await anyPrimary(others, id)
    }
    await it.settled(id)
  }
  for (const { name } of it.lab.hosts) {
    for (const { id } of it.lab.routers) {
      await it.noCondition(name, id)
      expect(lastRole(await it.transitions(name, id))).toBe((await it.router(name, id)).role)
    }
    expect((await it.status(name)).journal).toMatchObject({ state: 'ok', lost: 0 })
    expect(await it.verify(name)).toMatchObject({ ok: true })
  }
})

function anyPrimary(hosts: readonly string[], id: string): Promise<unknown> {
  return Promise.any(hosts.map((host) => it.role(host, 'primary', id)))
}
