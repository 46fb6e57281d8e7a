import type { FastifyError } from 'fastify'
import { KeepwardError, sentenceOf, type ErrorCode } from '../../base/error.ts'
import type { Problem } from '../api.ts'

/** An answer for a person or a program, and what is not ours to tell and belongs into the log. */
export interface Refusal {
  readonly status: number
  readonly problem: Problem
  readonly unforeseen: Error | undefined
}

export function refusalOf(error: FastifyError | KeepwardError): Refusal {
  if (error instanceof KeepwardError) return refusal(error, statuses[error.code] ?? 500)
  const status = error.statusCode ?? 500
  if (status < 500) return refusal(new KeepwardError('request-invalid', error.message), status)
  const told = new KeepwardError('internal', 'The agent failed to answer; its log says why')
  return { ...refusal(told, 500), unforeseen: error }
}

const refusal = (error: KeepwardError, status: number): Refusal => ({
  status,
  problem: { code: error.code, message: sentenceOf(error), hint: error.hint },
  unforeseen: undefined,
})

const statuses: Partial<Record<ErrorCode, number>> = {
  'permission-denied': 403,
  'router-unknown': 404,
  'request-invalid': 400,
  'config-invalid': 422,
  'config-unreadable': 422,
  'config-unsafe': 422,
  'config-unsigned': 422,
  'config-signature-wrong': 422,
  'config-key-unusable': 422,
  'packet-filter-refused': 422,
  'subscriber-too-slow': 409,
  'records-removed': 410,
}
