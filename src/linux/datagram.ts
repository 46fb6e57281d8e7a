import { native } from './native.ts'

/** Send one datagram to a Unix socket, such as /dev/log. Throws the system's error, EAGAIN when its reader is behind. */
export function sendDatagram(path: string, text: string): void {
  native().sdNotify(path, text)
}
