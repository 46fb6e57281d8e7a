import { native } from './native.ts'

/** Nanoseconds since the machine was started, its sleep included (CLOCK_BOOTTIME): rises for all processes of one boot. */
export const bootTimeNs = (): bigint => native().bootTime()
