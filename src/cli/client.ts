import { request, type IncomingMessage } from 'node:http'
import { dirname, join } from 'node:path'
import { errnoOf, KeepwardError, type ErrorCode } from '../base/error.ts'
import { readRunPath } from '../config/read.ts'
import type { Globals } from './globals.ts'

const timeoutMs = 10_000

/** Where the agent answers: as told, else as the config file says. */
async function socketPath({ socket, config }: Globals): Promise<string> {
  if (socket !== undefined) return socket
  return join(await readRunPath(config), 'control.sock')
}

/** One call of the control API. Throws `agent-unreachable`, or the agent's own refusal under its own code. */
export async function call<T>(globals: Globals, method: 'GET' | 'POST', path: string): Promise<T> {
  return callAt(await socketPath(globals), method, path)
}

/** As {@link call}, at a socket that is known. */
export async function callAt<T>(socket: string, method: 'GET' | 'POST', path: string): Promise<T> {
  const response = await open(socket, method, path, timeoutMs)
  const text = await readAll(response)
  if (response.statusCode !== 200) throw refusal(text, response.statusCode)
  return JSON.parse(text) as T
}

/** Server-sent events of the agent, one `data` object each; ends when the agent ends the stream. */
export async function* stream(
  globals: Globals,
  path: string,
): AsyncGenerator<{ kind: string; data: unknown }, void, undefined> {
  const response = await open(await socketPath(globals), 'GET', path, 0)
  if (response.statusCode !== 200) throw refusal(await readAll(response), response.statusCode)
  response.setEncoding('utf8')
  let waiting = ''
  for await (const chunk of response as AsyncIterable<string>) {
    const blocks = (waiting + chunk).split('\n\n')
    waiting = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2)
      const data = field('data')
      if (data !== undefined) yield { kind: field('event') ?? 'message', data: JSON.parse(data) as unknown }
    }
  }
}

function open(path: string, method: string, url: string, timeout: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: path, method, path: url, timeout }, resolve)
    sent.on('timeout', () => {
      sent.destroy(
        new KeepwardError('agent-unreachable', `The agent at ${path} has not answered for ${String(timeout / 1000)} s`),
      )
    })
    sent.on('error', (error) => {
      reject(error instanceof KeepwardError ? error : unreachable(path, error))
    })
    sent.end()
  })
}

function unreachable(path: string, error: Error): KeepwardError {
  const why = {
    ENOENT: 'there is no such socket',
    ECONNREFUSED: 'nobody listens there',
    EACCES: 'this user may not connect',
  }
  const reason = why[errnoOf(error) as keyof typeof why] as string | undefined
  return new KeepwardError('agent-unreachable', `Cannot reach the agent at ${path}: ${reason ?? error.message}`, {
    cause: reason === undefined ? error : undefined,
    hint: reason === undefined ? `look at ${dirname(path)}` : 'is `keepward agent` running with this config?',
  })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/** The agent's problem as our own error. */
function refusal(text: string, status: number | undefined): KeepwardError {
  try {
    const { code, message, hint } = JSON.parse(text) as { code: ErrorCode; message: string; hint?: string }
    return new KeepwardError(code, message, hint === undefined ? {} : { hint })
  } catch {
    return new KeepwardError(
      'internal',
      `The agent answered ${String(status)} with something that is no problem document`,
    )
  }
}
