import type { JsonObject } from '../journal/record.ts'
import type { Executable } from '../linux/peer-executable.ts'
import type { Peer } from '../linux/unix-socket.ts'
import { executableBody } from './claim-record.ts'

/** Who made the agent read its config file again. The kernel does not tell Node.js who sent a signal. */
export type Applicant =
  | {
      readonly by: 'request'
      readonly peer: Pick<Peer, 'uid' | 'gid' | 'pid'>
      readonly executable: Executable | undefined
    }
  | { readonly by: 'signal' | 'change-on-disk' }

/** As the journal keeps it; null is not known. */
export function applicantBody(applicant: Applicant | undefined): JsonObject {
  const asker = applicant?.by === 'request' ? applicant : undefined
  const { uid, gid, pid } = asker?.peer ?? { uid: null, gid: null, pid: null }
  return { by: applicant?.by ?? null, uid, gid, pid, ...executableBody(asker?.executable) }
}
