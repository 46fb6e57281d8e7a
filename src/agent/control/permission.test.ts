import { expect, test } from 'vitest'
import { isReading, permissionOf, type Permission } from './permission.ts'

const table: [uid: number, gid: number, groups: number[], readerGid: number | undefined, Permission][] = [
  [0, 0, [], undefined, 'all'],
  [0, 5, [], 60, 'all'],
  [200, 200, [], 60, 'all'],
  [200, 60, [60], 60, 'all'],
  [1000, 60, [], 60, 'read'],
  [1000, 1000, [4, 60], 60, 'read'],
  [1000, 1000, [4, 61], 60, 'none'],
  [1000, 0, [0], 60, 'none'],
  [1000, 200, [200], 60, 'none'],
  [1000, 60, [60], undefined, 'none'],
  [65534, 65534, [], undefined, 'none'],
  [-1, -1, [], undefined, 'none'],
]

test.each(table)(
  'permissionOf() of uid %i, gid %i, groups %j with readers %j is %s',
  (uid, gid, groups, readerGid, is) => {
    expect(permissionOf({ pid: 1, uid, gid, groups }, { ownUid: 200, readerGid })).toBe(is)
  },
)

test('isReading() holds for GET and HEAD alone', () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'get', '']
  expect(methods.filter(isReading)).toEqual(['GET', 'HEAD'])
})
