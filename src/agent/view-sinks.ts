import type { SinkStatus } from '../report/reporting.ts'
import type { SinkView } from './api.ts'

/** Sinks as the API shows them. */
export const viewSinks = (sinks: readonly SinkStatus[]): SinkView[] => sinks.map(viewSink)

function viewSink({ name, type, status }: SinkStatus): SinkView {
  if (typeof status === 'string') {
    const none = { waiting: 0, delivered: 0, failures: 0, refused: [] }
    return { name, type, state: 'unreachable', reason: status, ...none }
  }
  const { state, waiting, oldestMs, delivered, failures, refused, lastError, lastErrorMs } = status
  return {
    ...{ name, type, waiting, delivered, failures },
    state: state.trouble?.kind ?? 'ready',
    ...(state.trouble === undefined ? {} : { reason: state.trouble.text }),
    ...(oldestMs === undefined ? {} : { oldestMs: Math.round(oldestMs) }),
    refused: [...refused.keys()],
    ...(lastError === undefined ? {} : { lastError, lastErrorMs: Math.round(lastErrorMs ?? 0) }),
  }
}
