import { endWithOutput } from '../cli/failure.ts'
import { main } from '../cli/main.ts'

endWithOutput()
process.exitCode = await main(process.argv.slice(2))
