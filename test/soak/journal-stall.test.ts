process.env['KEEPWARD_TEST_STALL_MS'] = '10000'
await import('../lab/journal-disk.test.ts')
