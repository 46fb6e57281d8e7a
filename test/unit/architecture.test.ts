import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { importsOf, isTest, read, readCodeMap, roomOf, root, sources } from './code-map.ts'

const map = readCodeMap(read('ARCHITECTURE.md'))
const files = sources('src').filter((file) => !isTest(file))

/** What breaks a rule, as sentences; an empty list is what is wanted. */
type Breaches = string[]

test('the code map names folders that exist', () => {
  const missing = map.filter(
    ({ folder }) => !existsSync(join(root, folder)) || !statSync(join(root, folder)).isDirectory(),
  )
  expect(missing.map(({ folder }) => `ARCHITECTURE.md names ${folder}, which is not there`)).toEqual([])
})

test('every folder in src has a row in the code map, and every row a job', () => {
  const rows = new Set(map.map(({ folder }) => folder))
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
  const unnamed = folders.map((one) => `src/${one.name}${one.isDirectory() ? '/' : ''}`).filter((one) => !rows.has(one))
  expect(unnamed.map((one) => `${one} has no row in the code map of ARCHITECTURE.md`)).toEqual([])
  expect(map.filter(({ job }) => job === '').map(({ folder }) => `${folder} has no job`)).toEqual([])
  expect(rows.size, 'a room has two rows').toBe(map.length)
})

test('rooms import only what the code map allows', () => {
  const breaches: Breaches = []
  for (const file of files) {
    const room = roomOf(file)
    const allowed = map.find(({ folder }) => folder === room)?.mayImport
    if (allowed === undefined) continue
    for (const one of importsOf(file)) {
      if (one.file === undefined || one.file === 'package.json') continue
      const target = roomOf(one.file)
      if (target === room || allowed.map((name) => `src/${name}/`).includes(target)) continue
      breaches.push(
        `${file}:${String(one.line)} imports ${one.file}; the code map lets ${room} import ${allowed.join(', ') || 'nothing'} (its job: ${map.find(({ folder }) => folder === room)?.job ?? ''})`,
      )
    }
  }
  expect(breaches).toEqual([])
})

test('the code map allows no more than is used, and no circle of rooms', () => {
  const used = new Map(map.map(({ folder }) => [folder, new Set<string>()]))
  for (const file of files)
    for (const one of importsOf(file)) if (one.file !== undefined) used.get(roomOf(file))?.add(roomOf(one.file))
  const unused = map.flatMap(({ folder, mayImport }) =>
    (folder.startsWith('src/') ? (mayImport ?? []) : [])
      .filter((name) => used.get(folder)?.has(`src/${name}/`) !== true)
      .map((name) => `${folder} may import ${name}, and does not`),
  )
  expect(unused).toEqual([])
  const order = new Map<string, 'open' | 'done'>()
  const circles: Breaches = []
  const visit = (room: string, path: readonly string[]): void => {
    if (order.get(room) === 'done') return
    if (order.get(room) === 'open') {
      circles.push([...path.slice(path.indexOf(room)), room].join(' -> '))
      return
    }
    order.set(room, 'open')
    for (const next of used.get(room) ?? []) if (next !== room) visit(next, [...path, room])
    order.set(room, 'done')
  }
  for (const { folder } of map) visit(folder, [])
  expect(circles).toEqual([])
})

/** A rule on what a room's text may hold, and why. */
interface Rule {
  readonly reason: string
  readonly forbidden: RegExp
  readonly applies: (room: string) => boolean
  /** File by file, each with its reason. */
  readonly except: Readonly<Record<string, string>>
}

const privileged = ['src/linux/', 'src/host/', 'src/keepalived/', 'src/reactions/', 'src/lab/']

const rules: Record<string, Rule> = {
  'no room but linux, host, keepalived, reactions and lab starts processes or touches the kernel': {
    reason: 'everything that needs root goes through the closed union of src/host/operation.ts',
    forbidden:
      /node:child_process|node:cluster|linux\/(?:native|run|netns|netlink[a-z-]*|rtnetlink|link|address|route|sysctl|spawn-detached|in-namespace|watch|control-group|namespace-view|child)\.ts/,
    applies: (room) => !privileged.includes(room),
    except: {
      'src/doctor/*': 'looks at what a host has, changes nothing',
    },
  },
  'the core does no I/O, has no clock and no logger': {
    reason: 'the same router, event and moment always give the same answer (style.md, decide in the middle)',
    forbidden:
      /from 'node:|from '(?!\.)|Date\.now|new Date\b|performance\.|process\.(?!kind|pid|child|stopped|asOf|startedAt|loadedDigest|tied)|setTimeout|setInterval|setImmediate|console\.|Math\.random|crypto/,
    applies: (room) => room === 'src/router/',
    except: {},
  },
  'values that every room speaks do no I/O': {
    reason: 'base is imported by the core',
    forbidden: /node:(?:fs|child_process|http|dgram|tls|worker_threads)|createServer|\bconnect\(/,
    applies: (room) => room === 'src/base/',
    except: {},
  },
  'only src/keepalived/ says MASTER': {
    reason: 'each foreign word is translated once, in the room that talks to that system (style.md, words)',
    forbidden: /\bMASTER\b|\bvrrp_instance\b|virtual_ipaddress\b/,
    applies: (room) => room !== 'src/keepalived/',
    except: {},
  },
  'the command line and the controller never write where root lives': {
    reason: 'P6: what needs root is asked of the agent, by an operation that names a router and a verb',
    forbidden: /\b(?:writeFile|appendFile|mkdir|rm|rename|unlink|chmod|chown|symlink|truncate)(?:Sync)?\(/,
    applies: (room) => ['src/cli/', 'src/router/', 'src/agent/', 'src/config/'].includes(room),
    except: {
      'src/config/write-docs.ts': 'a tool of the build, writes docs/',
    },
  },
  'files are made, opened, replaced and removed by src/linux/safe-*.ts': {
    reason:
      'a path is followed wherever others lead it; SafeDir goes by descriptor (types, and calls on a descriptor, are free)',
    forbidden:
      /(?<!import\s+type\s*\{[^}]*\}\s*)(?<!import\s*\{(?:\s*(?:type\s+\w+|constants|close|closeSync|fstatSync|fsyncSync|ftruncateSync|readSync|writeSync)\s*,?)*\s*\}\s*)(?:from\s*|import\s*\(?\s*|require\(\s*)['"](?:node:)?fs(?:\/promises)?['"]/,
    applies: () => true,
    except: {
      'src/linux/safe-*': 'the one module',
      'src/linux/control-group.ts': 'the kernel’s files: cgroup2',
      'src/linux/in-namespace.ts': 'the kernel’s files: /proc',
      'src/linux/netns.ts': 'the kernel’s files: namespaces that iproute2 names',
      'src/linux/process.ts': 'the kernel’s files: /proc',
      'src/linux/raw-socket.ts': 'the kernel’s files: /proc',
      'src/linux/sysctl.ts': 'the kernel’s files: /proc/sys',
      'src/linux/owner.ts': 'asks whose a directory is, to do no more in it than that user may; opens nothing',
      'src/agent/state-directory.ts': 'looks whose a refused directory is, for the hint alone',
      'src/agent/config-watch.ts': 'watches the config’s directory to know when to look; opens nothing',
      'src/config/read.ts':
        'reads a config for a person, with that person’s rights; what is acted upon goes by descriptor',
      'src/config/write-docs.ts': 'a tool of the build, writes docs/',
      'src/cli/key-file.ts': 'reads a key file that its caller names, with the caller’s rights',
      'src/doctor/*': 'looks at what a host has, changes nothing',
      'src/lab/*': 'simulated hosts on a machine for tests, below /run',
    },
  },
  'a secret is revealed in few places': {
    reason: 'src/base/secret.ts shows nothing by itself; each way out is one of these',
    forbidden: /\.reveal(?:Text|Bytes)\(/,
    applies: () => true,
    except: {
      'src/agent/pseudonym.ts': 'calls a router by a keyed digest of its id',
      'src/anchor/keeper.ts': 'signs anchors with a private key',
      'src/cli/nats.ts': 'hands the key of a client certificate to node:tls',
      'src/cli/notify.ts': 'prints the key of one router for its sender, as asked',
      'src/cli/secrets.ts': 'prints what it made, for hosts that share it',
      'src/config/signing.ts': 'signs a config with a private key',
      'src/host/digest-seal.ts': 'keys digests, so that no password can be guessed from one',
      'src/host/keepalived-config.ts': 'looks at the form of what keepalived is to read',
      'src/host/link.ts': 'gives the key of pseudonyms to the root half, whose log has the same',
      'src/keepalived/authentication.ts': 'counts the characters of a password',
      'src/keepalived/token.ts': 'a password goes into keepalived.conf (0600)',
      'src/linux/read-secret.ts': 'ends what a source gave in one newline',
      'src/statechange/keys.ts': 'derives the key of one router from the agent’s own',
      'src/vault/ask.ts': 'sends a token, or a secret id, over TLS',
      'src/vault/token.ts': 'takes the newline off a token, and looks at its form',
      'src/report/nats/connect.ts': 'signs the challenge of a NATS server',
      'src/report/webhook/signature.ts': 'signs what a webhook is told',
      'src/report/neutron/connection.ts': 'logs in at a broker',
      'src/report/tls.ts': 'hands the key of a client certificate to node:tls',
      'src/statechange/signature.ts': 'signs, and compares signatures in constant time',
    },
  },
  'what opens a path itself is given one in few places': {
    reason:
      'it follows links: it gets a path by descriptor (SafeDir.via), and what it made or opened is looked at afterwards',
    forbidden: /new DatabaseSync\(|\.mkfifo\(|\.listen\(\s*\{\s*path\b|\.listen\(\s*['"`]|create(?:Write|Read)Stream\(/,
    applies: () => true,
    except: {
      'src/linux/safe-dir.ts': 'the one module',
      'src/linux/unix-socket.ts': 'binds by a directory’s descriptor',
      'src/journal/file.ts': 'compares what SQLite has open with what the directory names',
      'src/journal/renew.ts': 'the same',
    },
  },
  'nobody starts a shell': {
    reason: 'processes are started with an argument list only (style.md, shape 7)',
    forbidden: /shell:\s*true|\bexecSync\(|['"`](?:\/bin\/)?(?:ba|da)?sh['"`]\s*,\s*\[?\s*['"`]-c/,
    applies: () => true,
    except: {},
  },
}

const comments = /\/\*[\s\S]*?\*\/|(?<![:'"])\/\/[^\n]*/g

const isExcepted = (file: string, except: Rule['except']): boolean =>
  Object.keys(except).some((name) => (name.endsWith('*') ? file.startsWith(name.slice(0, -1)) : name === file))

test.each(Object.entries(rules))('%s', (_name, { reason, forbidden, applies, except }) => {
  const breaches = files.flatMap((file): Breaches => {
    if (!applies(roomOf(file)) || isExcepted(file, except)) return []
    const found = forbidden.exec(read(file).replace(comments, (comment) => comment.replace(/[^\n]/g, ' ')))
    if (found === null) return []
    const line = read(file).slice(0, found.index).split('\n').length
    return [`${file}:${String(line)} holds ${JSON.stringify(found[0])}: ${reason}`]
  })
  expect(breaches).toEqual([])
})

test('every exception is still needed', () => {
  const idle = Object.entries(rules).flatMap(([name, { except, forbidden }]) =>
    Object.keys(except)
      .filter((one) => !files.some((file) => isExcepted(file, { [one]: '' }) && forbidden.test(read(file))))
      .map((one) => `${one} needs no exception from: ${name}`),
  )
  expect(idle).toEqual([])
})

test('the privileged calls are made where the rule says', () => {
  // The addon is loaded in one place, processes are started in few.
  const loaders = files.filter((file) => /process\.dlopen|createRequire/.test(read(file)))
  expect(loaders).toEqual(['src/linux/native.ts'])
})

test('imports name their files in full and stay inside the project', () => {
  const breaches = files.flatMap((file) =>
    importsOf(file).flatMap((one): Breaches => {
      if (one.file === undefined) return []
      if (one.file.startsWith('..') || !existsSync(join(root, one.file))) return [`${file}: ${one.from} leads nowhere`]
      return isTest(one.file) ? [`${file} imports the test ${one.file}`] : []
    }),
  )
  expect(breaches).toEqual([])
})

test('files past 300 lines are asked why', () => {
  const long = files
    .map((file) => [file, read(file).split('\n').length - 1] as const)
    .filter(([, lines]) => lines > 300)
  for (const [file, lines] of long) console.warn(`${file} has ${String(lines)} lines: why?`)
  expect(long.length, 'many long files are a habit').toBeLessThanOrEqual(3)
})
