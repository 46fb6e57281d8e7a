import { KeepwardError } from '../base/error.ts'
import type { SinkSettings } from './settings.ts'
import type { Sink } from './sink.ts'

/** A client takes megabytes, which an agent without such a sink has no use for: it is loaded when it is wanted. */
export function openSink(settings: SinkSettings): Promise<Sink> {
  return Promise.reject(new KeepwardError('internal', `There is no ${settings.type} yet`))
}
