import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NotifySplitter, parseNotifyLine } from './notify-line.ts'

test.each([
  ['INSTANCE "r1" MASTER 100', 'primary', 100],
  ['INSTANCE "r1" BACKUP 50', 'backup', 50],
  ['INSTANCE "r1" FAULT 0', 'fault', 0],
  ['INSTANCE "r1" STOP 255', 'stop', 255],
  ['INSTANCE "r1" MASTER_RX_LOWER_PRI 100', 'lower-priority-heard', 100],
  ['INSTANCE "r1" DELETED 0', 'deleted', 0],
])('parseNotifyLine() reads %s', (line, says, priority) => {
  expect(parseNotifyLine(line)).toEqual({ kind: 'hint', hint: { routerId: 'r1', says, priority } })
})

test.each([
  ['', 'no-notify-line'],
  ['GROUP "r1" MASTER 100', 'no-notify-line'],
  ['INSTANCE r1 MASTER 100', 'no-notify-line'],
  ['INSTANCE "r1" MASTER', 'no-notify-line'],
  ['INSTANCE "r1" MASTER -1', 'no-notify-line'],
  ['INSTANCE "r1" MASTER 100 ', 'no-notify-line'],
  ['INSTANCE "r1" MASTER 1000', 'no-notify-line'],
  ['INSTANCE "r1" MASTER 256', 'priority-out-of-range'],
  ['INSTANCE "r1" ROOT 100', 'unknown-word'],
  ['INSTANCE "../r1" MASTER 100', 'no-router-id'],
  ['INSTANCE "" MASTER 100', 'no-router-id'],
])('parseNotifyLine() rejects %j', (line, reason) => {
  expect(parseNotifyLine(line)).toEqual({ kind: 'rejected', reason })
})

const line = (says: string) => ({ kind: 'hint', hint: { routerId: 'r1', says, priority: 1 } })

test('NotifySplitter.push() joins a line that was read in parts', () => {
  const splitter = new NotifySplitter()
  expect(splitter.push(Buffer.from('INSTANCE "r1" MAST'))).toEqual([])
  expect(splitter.push(Buffer.from('ER 1\nINSTANCE "r1" BACKUP 1\nINST'))).toEqual([line('primary'), line('backup')])
  expect(splitter.push(Buffer.from('ANCE "r1" FAULT 1\n'))).toEqual([line('fault')])
})

test('NotifySplitter.push() rejects an endless line once and reads the next', () => {
  const splitter = new NotifySplitter()
  const long = Buffer.alloc(10_000, 'x')
  expect(splitter.push(long)).toEqual([{ kind: 'rejected', reason: 'too-long' }])
  expect(splitter.push(long)).toEqual([])
  expect(splitter.push(Buffer.from('INSTANCE "r1" MASTER 1\nINSTANCE "r1" STOP 1\n'))).toEqual([line('stop')])
})

test('NotifySplitter.push() never throws and reads every line after garbage that ends', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 10 }), (chunks) => {
      const splitter = new NotifySplitter()
      for (const chunk of chunks) splitter.push(Buffer.from(chunk))
      const last = splitter.push(Buffer.from('\nINSTANCE "r1" FAULT 1\n'))
      expect(last.at(-1)).toEqual(line('fault'))
    }),
  )
})
