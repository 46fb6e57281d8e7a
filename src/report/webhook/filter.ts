import type { Report } from '../report.ts'
import type { WebhookSettings } from '../settings.ts'

/** Whether the endpoint wants to hear of it. What is left out of the filter bars nothing; `roles` looks at transitions alone. */
export function wants({ routers, kinds, roles }: WebhookSettings['filter'], { router, record }: Report): boolean {
  const { kind, body } = record
  if (routers?.includes(router) === false || kinds?.includes(kind) === false) return false
  return kind !== 'transition' || roles === undefined || roles.some((role) => role === body['to'])
}
