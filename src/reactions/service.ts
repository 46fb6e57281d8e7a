import type { ReactionName, Stance } from '../router/reaction.ts'
import type { RouterSpec } from '../router/spec.ts'
import type { Telling } from './telling.ts'

/** A program of somebody else's that runs in a router's namespace while its stance wants it. Says what; {@link Daemon} does it. */
export interface Service {
  readonly name: ReactionName
  /** Name of the program, at most 15 characters, and of the file that it alone is started with. */
  readonly program: string
  readonly configName: string
  /** What the stance runs; undefined: nothing. `pathOf` gives the path of a file of the plan. */
  plan(spec: RouterSpec, stance: Stance, pathOf: (name: string) => string): ServicePlan | undefined
  /** How it is told to end. */
  readonly endSignal: 'SIGTERM' | 'SIGKILL'
  /** Files that it leaves when it is killed, and that would keep the next one from starting. */
  readonly leaves?: readonly string[]
}

export interface ServicePlan {
  /** In this order, before the program starts. */
  readonly files: ReadonlyMap<string, string>
  /** The program with its arguments; the path of a file of the router's is among them. */
  readonly argv: readonly string[]
  /** Whom it becomes, where it does not stay root. */
  readonly user?: string
  /** Judges the files, which are written by then, while the one before still runs; says why on one of its outputs. */
  readonly check?: readonly string[]
  /** Tells a running one of its stance; it is not started anew for that. */
  readonly tell?: Telling
}
