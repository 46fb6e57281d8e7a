import { z } from 'zod'
import type { Announcements } from '../router/spec.ts'
import { duration, wholeNumber } from './form.ts'

/** Upwards, so that a little is not nothing. */
const wholeSeconds = (ms: number): number => Math.ceil(ms / 1000)

/** How a primary tells its neighbours where the virtual addresses are now (RFC 826, RFC 4861, 7.2.6). */
export const announcementSchema = z
  .strictObject(
    {
      repeat: wholeNumber(1, 10)
        .prefault(3)
        .meta({ description: 'How often each address is announced when the role is taken, and again after `delay`.' }),
      delay: duration(1000, 60_000).prefault('5s').meta({
        description: 'Once more after so long, when a slow switch surely learns; in whole seconds.',
      }),
      refresh: duration(0, 86_400_000).prefault('60s').meta({
        description: 'Then each address once every so often; 0s: no more. In whole seconds.',
      }),
      pause: duration(0, 100)
        .prefault('0ms')
        .meta({
          description:
            'Between two announcements on one interface. With many addresses and a switch that drops bursts; the last address is announced so much later.',
          examples: ['1ms'],
        }),
    },
    'must be a map with the keys repeat, delay, refresh and pause',
  )
  .transform(({ repeat, delay, refresh, pause }): Announcements => ({
    repeat,
    delayS: wholeSeconds(delay),
    refreshS: wholeSeconds(refresh),
    pauseMs: pause,
  }))
