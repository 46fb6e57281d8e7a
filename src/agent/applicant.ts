import type { JsonObject } from '../journal/record.ts'

/** Who made the agent read its config file again. The kernel does not tell Node.js who sent a signal. */
export type Applicant =
  | { readonly by: 'request'; readonly uid: number; readonly gid: number; readonly pid: number }
  | { readonly by: 'signal' | 'change-on-disk' }

/** As the journal keeps it; null is not known. */
export function applicantBody(applicant: Applicant | undefined): JsonObject {
  const { uid, gid, pid } = applicant?.by === 'request' ? applicant : { uid: null, gid: null, pid: null }
  return { by: applicant?.by ?? null, uid, gid, pid }
}
