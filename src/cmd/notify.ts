import { notifyAtOnce } from '../cli/notify.ts'

const status = await notifyAtOnce(process.argv.slice(2))
if (status === undefined) await import('./keepward.ts')
else process.exitCode = status
