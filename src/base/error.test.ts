import { describe, expect, it } from 'vitest'
import { codeOf, describeError, KeepwardError, sentenceOf } from './error.ts'

const system = (code: string) => Object.assign(new Error(`${code}: as the system says`), { code })

describe('KeepwardError', () => {
  it('says what ran out before what the place where it was thrown knows', () => {
    const error = new KeepwardError('netlink-failed', 'Cannot open', { cause: system('EMFILE'), hint: 'own' })
    expect(error.hint).toBe('raise the limit on open files of this process (LimitNOFILE= in its unit)')
  })

  it('has its own hint before those of its cause', () => {
    const cause = new KeepwardError('file-unsafe', 'below', { hint: 'inner', cause: system('EACCES') })
    expect(new KeepwardError('file-failed', 'above', { cause, hint: 'outer' }).hint).toBe('outer')
    expect(new KeepwardError('file-failed', 'above', { cause }).hint).toBe('inner')
  })

  it('finds a resource that ran out under two causes', () => {
    const cause = new KeepwardError('file-failed', 'below', { cause: system('ENOSPC') })
    expect(new KeepwardError('key-invalid', 'above', { cause, hint: 'own' }).hint).toContain('free space')
  })

  it('tells a missing right from the rest where nobody knows better', () => {
    expect(new KeepwardError('file-failed', 'x', { cause: system('EACCES') }).hint).toContain('owner and mode')
    expect(new KeepwardError('file-failed', 'x', { cause: system('EPERM') }).hint).toContain('immutable')
  })

  it('has the hint of its code otherwise', () => {
    expect(new KeepwardError('keepalived-missing', 'x').hint).toBe('install the package keepalived')
  })
})

describe('codeOf()', () => {
  it.each(['EMFILE', 'ENFILE', 'ENOMEM'])('tells %s from a failure of what was asked for', (code) => {
    expect(codeOf(system(code), 'namespace-failed')).toBe('resources-exhausted')
    expect(codeOf(system('EACCES'), 'namespace-failed')).toBe('namespace-failed')
  })
})

describe('describeError()', () => {
  it('gives message, causes and hint', () => {
    const error = new KeepwardError('file-failed', 'Cannot write /x', { cause: system('EROFS') })
    expect(sentenceOf(error)).toBe('Cannot write /x: EROFS: as the system says')
    expect(describeError(error)).toBe(
      'Cannot write /x: EROFS: as the system says (its file system is read-only: see dmesg for why, then mount it for writing)',
    )
  })

  it('leaves out a hint that follows from the code', () => {
    expect(describeError(new KeepwardError('router-unknown', 'There is no router x'))).toBe('There is no router x')
  })

  it('takes whatever was thrown', () => {
    expect(describeError('text')).toBe('text')
    expect(describeError(new TypeError('no error of ours'))).toBe('no error of ours')
  })
})
