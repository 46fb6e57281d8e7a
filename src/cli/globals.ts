/** Options of every command. */
export interface Globals {
  readonly config: string
  readonly socket: string | undefined
  readonly json: boolean
}
