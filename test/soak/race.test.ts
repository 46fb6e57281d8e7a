process.env['KEEPWARD_TEST_RACE'] = '100000'
await import('../root/race.test.ts')
