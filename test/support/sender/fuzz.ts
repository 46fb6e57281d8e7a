import { connect } from 'node:net'
import { Secret } from '../../../src/base/secret.ts'
import { bootTimeNs } from '../../../src/linux/boot-clock.ts'
import { makeMutant, type Keys, type Mutant } from './mutant.ts'
import { seeded } from './random.ts'
import { readAnswers, readStrictly, type StrictReading, type StrictRequest } from './strict-http.ts'

export interface FuzzWish {
  readonly path: string
  readonly seed: number
  /** Requests at least. */
  readonly requests: number
  readonly boot: string
  readonly key: { readonly id: string; readonly secret: Buffer }
}

export interface FuzzSeen {
  readonly requests: number
  readonly connections: number
  /** How many answers of each status. */
  readonly answers: Readonly<Record<string, number>>
  /** How many connections ended without an answer. */
  readonly unanswered: number
  readonly slowestMs: number
  /** What must not be, the first of them, each with all that was sent. */
  readonly faults: readonly string[]
}

const connectionsAtOnce = 64
/** Of those that do not say that they have said all. */
const patientAtOnce = 512
const lullMs = 60
/** Deadline of the server and a second. */
const hangMs = 6000
const maxFaults = 20

/** Send mutants of right requests until there were so many, and hold each answer against a strict reading of what was sent. */
export async function fuzz({ path, seed, requests, boot, key }: FuzzWish): Promise<FuzzSeen> {
  const random = seeded(seed)
  const secrets = new Map([[key.id, Buffer.from(key.secret)]])
  const keys: Keys = { own: { id: key.id, secret: new Secret(key.secret) }, boot, now: bootTimeNs }
  const seen = { requests: 0, connections: 0, unanswered: 0, slowestMs: 0 }
  const answers: Record<string, number> = {}
  const faults: string[] = []
  const patients = new Set<Promise<void>>()

  const send = async (mutant: Mutant, patient: boolean) => {
    const text = mutant.join('')
    const reading = readStrictly(text, secrets)
    const heard = await converse(path, mutant, reading, patient)
    const statuses = readAnswers(heard.text)
    seen.slowestMs = Math.max(seen.slowestMs, heard.tookMs)
    if (statuses.length === 0) seen.unanswered += 1
    if (statuses !== 'wrong') for (const status of statuses) answers[status] = (answers[status] ?? 0) + 1
    const fault = heard.hung ? 'neither answered nor ended' : faultOf(statuses, reading, heard.cut)
    if (fault === undefined || faults.length >= maxFaults) return
    faults.push(`${fault}; sent ${JSON.stringify(mutant)}; answered ${JSON.stringify(heard.text)}`)
  }
  const worker = async () => {
    while (seen.requests < requests) {
      const mutant = makeMutant(random, keys)
      const isPatient = random.once(50)
      seen.connections += 1
      seen.requests += Math.max(1, mutant.join('').match(/HTTP\/1/g)?.length ?? 0)
      if (!isPatient || patients.size >= patientAtOnce) {
        await send(mutant, false)
        continue
      }
      const sent = send(mutant, true).finally(() => patients.delete(sent))
      patients.add(sent)
    }
  }
  await Promise.all(Array.from({ length: connectionsAtOnce }, worker))
  await Promise.all(patients)
  return { ...seen, answers, faults }
}

/** What is wrong with these answers to what was sent. */
function faultOf(statuses: readonly number[] | 'wrong', { requests }: StrictReading, cut: boolean): string | undefined {
  if (statuses === 'wrong') return 'no row of whole answers'
  for (const [at, status] of statuses.entries()) {
    const request = requests[at]
    const fit = request !== undefined && request !== 'unfit'
    if (status === 200 && !fit) return `request ${at} was taken, and is not of the form`
    if (status === 200 && fit && !isAllowed(request)) return `request ${at} was taken, and is not allowed`
    if (fit && (request.usual || status < 400) && !expected(request).includes(status))
      return `request ${at} is right, and got ${status}`
  }
  const missing = requests.slice(statuses.length)
  const ended = statuses.some((status) => status >= 400 && status !== 409 && status !== 429 && status !== 503)
  return cut || ended || missing.every((request) => request === 'unfit' || !request.usual)
    ? undefined
    : 'a right request got no answer'
}

/** The test's policy says the same in its own words. */
const isAllowed = ({ router, state, key }: StrictRequest) =>
  (router === 'r1' && state === 'backup') || (router === 'r2' && state === 'primary' && key === 'fleet')

function expected(request: StrictRequest): readonly number[] {
  if (!isAllowed(request)) return [403]
  // Of messages that are sent at the same time, the older may come last; a spoilt clock is refused.
  return request.key === undefined ? [200] : [200, 403, 409]
}

interface Heard {
  readonly text: string
  readonly tookMs: number
  /** It was told that there is no more to come, or ended while it was told more: answers may be missing. */
  readonly cut: boolean
  readonly hung: boolean
}

/**
 * Send the pieces and hear the other side out: until it ends, or has answered all that is whole. A patient one never says that
 * there is no more, so the other side's deadline must end it.
 */
function converse(path: string, mutant: Mutant, { requests, rest }: StrictReading, patient: boolean): Promise<Heard> {
  const { promise, resolve } = Promise.withResolvers<Heard>()
  const startedMs = performance.now()
  const socket = connect({ path, allowHalfOpen: true })
  let text = ''
  let cut = false
  const finish = (hung: boolean) => {
    clearTimeout(lull)
    clearTimeout(hang)
    socket.destroy()
    resolve({ text, tookMs: performance.now() - startedMs, cut, hung })
  }
  const halfClose = () => {
    cut = true
    socket.end()
  }
  const whole = () => {
    const answers = rest === 'nothing' ? readAnswers(text) : []
    return answers !== 'wrong' && answers.length > 0 && answers.length >= requests.length
  }
  const hang = setTimeout(finish, hangMs, true)
  let lull: NodeJS.Timeout | undefined
  socket.setEncoding('latin1')
  socket.on('data', (more: string) => {
    text += more
    lull?.refresh()
    if (whole()) finish(false)
  })
  socket.on('end', () => {
    finish(false)
  })
  // It may end the connection while we still send, and Node.js then forgets what came before.
  socket.on('error', () => (cut = true))
  socket.on('close', () => {
    finish(false)
  })
  const send = async () => {
    for (const [at, piece] of mutant.entries()) {
      if (at > 0) await new Promise((done) => setImmediate(done))
      if (socket.writable) socket.write(piece, 'latin1')
    }
    if (!patient) lull = setTimeout(halfClose, lullMs)
  }
  socket.on('connect', () => void send())
  return promise
}
