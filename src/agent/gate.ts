/** What follows a role starts when its record is durable, at the latest so long after the evidence (P2). */
export const maxGateMs = 100

/**
 * Wait for `durable`, but no longer than until `deadlineMs` from now. Says which it was; a record that failed for good
 * counts as late, since the role is true all the same.
 */
export async function durableOrLate(durable: Promise<unknown>, deadlineMs: number): Promise<'durable' | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadlineMs), 'late')
  })
  const settled = durable.then(
    () => 'durable' as const,
    () => 'late' as const,
  )
  try {
    return await Promise.race([settled, late])
  } finally {
    clearTimeout(timer)
  }
}
