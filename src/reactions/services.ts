import type { ReactionName } from '../router/reaction.ts'
import { conntrackd } from './conntrackd.ts'
import { metadata } from './metadata.ts'
import { radvd } from './radvd.ts'
import type { Service } from './service.ts'

/** Every service that follows a role. */
export const services: Readonly<Record<ReactionName, Service>> = { conntrackd, radvd, metadata }
