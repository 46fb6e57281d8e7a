process.env['KEEPWARD_TEST_FREEZE_MS'] = '10000'
await import('../lab/agent-crash.test.ts')
