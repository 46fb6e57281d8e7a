import pLimit from 'p-limit'

/** Work that takes longer gives its place up and goes on beside: one that hangs must not stand in the way of others. */
const placeHeldMs = 500

/** Run at most `count` pieces of work at once; more wait in order. */
export function slots(count: number): (work: () => Promise<void>) => Promise<void> {
  const limit = pLimit(count)
  return (work) =>
    new Promise((resolve, reject) => {
      void limit(async () => {
        const running = work()
        running.then(resolve, reject)
        await settledOrOverdue(running)
      })
    })
}

async function settledOrOverdue(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, placeHeldMs)
  })
  await Promise.race([work.catch(() => undefined), overdue])
  clearTimeout(timer)
}
