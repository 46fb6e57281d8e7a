import { request, type IncomingMessage } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  readonly json: unknown
}

/** One HTTP request on a Unix socket. */
export async function ask(
  socketPath: string,
  method: string,
  path: string,
  options: { readonly headers?: Record<string, string>; readonly body?: string } = {},
): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers: options.headers ?? {}, agent: false }, resolve)
    sent.on('error', reject)
    sent.end(options.body)
  })
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) text += chunk
  const isJson = response.headers['content-type']?.includes('json') === true
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json: isJson ? (JSON.parse(text) as unknown) : undefined,
  }
}

export interface StreamedEvent {
  readonly id: number | undefined
  readonly event: string
  readonly data: unknown
}

/** A reader of server-sent events. `pause` stops reading: what is sent then waits in the kernel and in the agent. */
export interface EventReader {
  readonly status: number
  readonly events: readonly StreamedEvent[]
  readonly ended: boolean
  pause(): void
  resume(): void
  close(): void
}

export async function readEvents(
  socketPath: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<EventReader> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, path, headers, agent: false }, resolve)
    sent.on('error', reject)
    sent.end()
  })
  const events: StreamedEvent[] = []
  let ended = false
  let waiting = ''
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    const blocks = (waiting + chunk).split('\n\n')
    waiting = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = parseBlock(block)
      if (event !== undefined) events.push(event)
    }
  })
  response.on('error', () => undefined)
  response.on('close', () => {
    ended = true
  })
  return {
    status: response.statusCode ?? 0,
    events,
    get ended() {
      return ended
    },
    pause: () => response.pause(),
    resume: () => response.resume(),
    close: () => response.destroy(),
  }
}

function parseBlock(block: string): StreamedEvent | undefined {
  const field = (name: string): string | undefined =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2)
  const data = field('data')
  if (data === undefined) return undefined
  const id = field('id')
  return {
    id: id === undefined ? undefined : Number(id),
    event: field('event') ?? 'message',
    data: JSON.parse(data) as unknown,
  }
}
