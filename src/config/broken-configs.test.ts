import { expect, test } from 'vitest'
import { ConfigError } from './problem.ts'
import { loadConfig } from './load.ts'

/** Every row is a file somebody could write by mistake, and every line that the operator then reads. */

const oneRouter = `version: 1
agent: { id: host-a }
routers:
  - id: r1
    vrid: 7
    vrrpVersion: 3
    ha:
      interface: ha0
      unicast: { source: 169.254.192.1, peers: [169.254.192.2] }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }
      - { name: ext0, attach: { macvlan: eth1 } }
    virtualAddresses:
      - { address: 203.0.113.10/24, interface: ext0 }
    virtualRoutes:
      - { to: default, via: 203.0.113.1, interface: ext0 }
`

const twoRouters = `${oneRouter}  - id: r2
    vrid: 8
    ha:
      interface: ha0
      unicast: { source: 169.254.192.11, peers: [169.254.192.12] }
    interfaces:
      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.11/18] }
      - { name: ext0, attach: { macvlan: eth1 } }
    virtualAddresses:
      - { address: 203.0.113.20/24, interface: ext0 }
`

const brokenConfigs: readonly BrokenConfig[] = [
  {
    when: 'version is of the future',
    text: edited(oneRouter, ['version: 1', 'version: 2']),
    says: ['agent.yaml:1:10 version: is 2, must be 1'],
  },
  {
    when: 'version is missing',
    text: edited(oneRouter, ['version: 1\n', '']),
    says: ['agent.yaml:1:1 version: is missing, must be 1'],
  },
  {
    when: 'a section is a scalar',
    text: edited(oneRouter, ['agent: { id: host-a }', 'agent: host-a']),
    says: ['agent.yaml:2:8 agent: is "host-a", must be a map with the keys id and user'],
  },
  {
    when: 'a section is empty',
    text: edited(oneRouter, ['agent: { id: host-a }', 'agent:']),
    says: ['agent.yaml:2:7 agent: is empty, must be a map with the keys id and user'],
  },
  {
    when: 'an unknown key is near a known one',
    text: edited(oneRouter, ['agent: { id: host-a }', 'agnet: { id: host-a }']),
    says: ['agent.yaml:2:1 unknown key `agnet`; did you mean `agent`?'],
  },
  {
    when: 'an unknown key is like nothing',
    text: edited(oneRouter, ['agent: { id: host-a }', 'agent: { id: host-a, colour: red }']),
    says: ['agent.yaml:2:22 agent: unknown key `colour`; must be one of id, user'],
  },
  {
    when: 'an unknown key is __proto__',
    text: edited(oneRouter, ['agent: { id: host-a }', '__proto__: { id: host-a }']),
    says: [
      'agent.yaml:2:1 unknown key `__proto__`; must be one of version, agent, paths, control, journal, audit, config, reconcile, stateChange, sinks, vault, logging, routers',
    ],
  },
  {
    when: 'the host identity has a space',
    text: edited(oneRouter, ['host-a', 'host a']),
    says: [
      'agent.yaml:2:14 agent.id: is "host a", must be 1 to 64 letters, digits, ".", "_" or "-" and start with a letter or digit',
    ],
  },
  {
    when: 'a path is relative',
    text: edited(oneRouter, ['agent:', 'paths: { state: var/lib }\nagent:']),
    says: [
      'agent.yaml:2:17 paths.state: is "var/lib", must be an absolute path of at most 200 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
    ],
  },
  {
    when: 'a path climbs',
    text: edited(oneRouter, ['agent:', 'paths: { state: /var/../etc }\nagent:']),
    says: [
      'agent.yaml:2:17 paths.state: is "/var/../etc", must be an absolute path of at most 200 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
    ],
  },
  {
    when: 'a path ends in a slash',
    text: edited(oneRouter, ['agent:', 'paths: { run: /run/keepward/ }\nagent:']),
    says: [
      'agent.yaml:2:15 paths.run: is "/run/keepward/", must be an absolute path of at most 64 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
    ],
  },
  {
    when: 'the anchors are inside the state directory, where the agent writes',
    text: edited(oneRouter, ['agent:', 'paths: { anchors: /var/lib/keepward/anchors }\nagent:']),
    says: [
      'agent.yaml:2:19 paths.anchors: is "/var/lib/keepward/anchors", must stand apart from the default of paths.state ("/var/lib/keepward")',
    ],
  },
  {
    when: 'the state directory is inside the run directory',
    text: edited(oneRouter, ['agent:', 'paths: { state: /run/keepward/state }\nagent:']),
    says: [
      'agent.yaml:2:17 paths.state: is "/run/keepward/state", must stand apart from the default of paths.run ("/run/keepward")',
    ],
  },
  {
    when: 'the metrics port is privileged',
    text: edited(oneRouter, ['agent:', 'control: { metricsPort: 80 }\nagent:']),
    says: ['agent.yaml:2:25 control.metricsPort: is 80, must be a whole number from 1024 to 65535'],
  },
  {
    when: 'the control group is no name',
    text: edited(oneRouter, ['agent:', `control: { group: '0day' }\nagent:`]),
    says: [
      'agent.yaml:2:19 control.group: is "0day", must be a group name: 1 to 32 letters, digits, ".", "_" or "-", starting with a letter or "_"',
    ],
  },
  {
    when: 'a number is in quotes',
    text: edited(oneRouter, ['agent:', `journal: { retainDays: '30' }\nagent:`]),
    says: ['agent.yaml:2:24 journal.retainDays: is "30", must be a whole number from 1 to 3650'],
  },
  {
    when: 'a number is a fraction',
    text: edited(oneRouter, ['agent:', 'reconcile: { intervalMs: 1000.5 }\nagent:']),
    says: ['agent.yaml:2:26 reconcile.intervalMs: is 1000.5, must be a whole number from 500 to 60000'],
  },
  {
    when: 'a sender is nobody',
    text: edited(oneRouter, ['agent:', 'stateChange: { senders: [{ states: [primary] }] }\nagent:']),
    says: ['agent.yaml:2:26 stateChange.senders[0]: is a map, must have one of user, uid, group, gid and key'],
  },
  {
    when: 'a sender is two',
    text: edited(oneRouter, ['agent:', 'stateChange: { openToAll: true, senders: [{ uid: 1, gid: 2 }] }\nagent:']),
    says: [
      'agent.yaml:2:43 stateChange.senders[0]: is a map, must have one of user, uid, group, gid and key, not uid and gid',
    ],
  },
  {
    when: 'a sender cannot reach the socket',
    text: edited(oneRouter, ['agent:', 'stateChange: { senders: [{ user: neutron }] }\nagent:']),
    says: [
      'agent.yaml:2:26 stateChange.senders[0]: cannot open the socket, stateChange must have socketGroup, or openToAll: true',
    ],
  },
  {
    when: 'a sender speaks in states there are not',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { openToAll: true, senders: [{ uid: 5, states: [master] }] }\nagent:',
    ]),
    says: ['agent.yaml:2:62 stateChange.senders[0].states[0]: is "master", must be primary, backup, fault or unknown'],
  },
  {
    when: 'a key bears the id of a router',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { senders: [{ key: { id: r1, file: /etc/keepward/r1.key } }] }\nagent:',
    ]),
    says: ['agent.yaml:2:39 stateChange.senders[0].key.id: is "r1", must not be the id of a router'],
  },
  {
    when: 'two senders have one key',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { senders: [{ key: { id: a, file: /a } }, { key: { id: a, file: /b } }] }\nagent:',
    ]),
    says: ['agent.yaml:2:69 stateChange.senders[1].key.id: is "a", must differ from that of another sender'],
  },
  {
    when: 'a sender speaks of a router that is not here, and others are refused',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { unknownRouters: strict, senders: [{ key: { id: a, file: /a }, routers: [r9] }] }\nagent:',
    ]),
    says: ['agent.yaml:2:88 stateChange.senders[0].routers[0]: is "r9", must be a router of this file'],
  },
  {
    when: 'the socket is for a group and for all',
    text: edited(oneRouter, ['agent:', 'stateChange: { socketGroup: neutron, openToAll: true }\nagent:']),
    says: ['agent.yaml:2:49 stateChange.openToAll: is true beside socketGroup, must be one of the two'],
  },
  {
    when: 'a limit is nothing',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { others: { connections: 0 }, perRouter: { burst: many } }\nagent:',
    ]),
    says: [
      'agent.yaml:2:39 stateChange.others.connections: is 0, must be a whole number from 1 to 16384',
      'agent.yaml:2:64 stateChange.perRouter.burst: is "many", must be a whole number from 1 to 1000000',
    ],
  },
  {
    when: 'a key file is a relative path',
    text: edited(oneRouter, ['agent:', 'stateChange: { senders: [{ key: { id: a, file: a.key } }] }\nagent:']),
    says: [
      'agent.yaml:2:48 stateChange.senders[0].key.file: is a text of 5 characters (not shown), must be an absolute path of at most 200 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
    ],
  },
  {
    when: 'the log level is unknown',
    text: edited(oneRouter, ['agent:', 'logging: { level: loud }\nagent:']),
    says: ['agent.yaml:2:19 logging.level: is "loud", must be error, warn, info, debug or trace'],
  },
  {
    when: 'routers is missing',
    text: 'version: 1\n',
    says: ['agent.yaml:1:1 routers: is missing, must be a list of routers'],
  },
  {
    when: 'routers is empty',
    text: 'version: 1\nrouters:\n',
    says: ['agent.yaml:2:9 routers: is empty, must be a list of routers'],
  },
  {
    when: 'routers is a map',
    text: 'version: 1\nrouters: { id: r1 }\n',
    says: ['agent.yaml:2:10 routers: is a map, must be a list of routers'],
  },
  {
    when: 'the file is empty',
    text: '',
    says: ['agent.yaml:1:1 is empty, must be a map with the keys version and routers'],
  },
  {
    when: 'the file is a list',
    text: '- version: 1\n',
    says: ['agent.yaml:1:1 is a list, must be a map with the keys version and routers'],
  },
  {
    when: 'the file has two documents',
    text: edited(oneRouter, ['version: 1\n', 'version: 1\n---\n']),
    says: ['agent.yaml:2:1 is the start of a second document, must be the only one'],
  },
  {
    when: 'the file has a tab as indentation',
    text: edited(oneRouter, ['    vrid: 7', '	vrid: 7']),
    says: [
      'agent.yaml:5:1 is not YAML that can be read: Tabs are not allowed as indentation',
      'agent.yaml:6:18 is not YAML that can be read: Nested mappings are not allowed in compact mappings',
      'agent.yaml:10:1 is not YAML that can be read: All mapping items must start at the same column',
      'agent.yaml:13:1 is not YAML that can be read: All mapping items must start at the same column',
      'agent.yaml:15:1 is not YAML that can be read: All mapping items must start at the same column',
    ],
  },
  {
    when: 'a bracket is left open',
    text: edited(oneRouter, ['[169.254.192.2] }', '[169.254.192.2 }']),
    says: [
      'agent.yaml:9:63 is not YAML that can be read: Flow sequence in block collection must be sufficiently indented and end with a ]',
      'agent.yaml:10:5 is not YAML that can be read: Flow map in block collection must be sufficiently indented and end with a }',
    ],
  },
  {
    when: 'a value starts with @',
    text: edited(oneRouter, ['vrid: 7', 'vrid: @7']),
    says: ['agent.yaml:5:11 is not YAML that can be read: Plain value cannot start with reserved character @'],
  },
  {
    when: 'a key stands twice',
    text: edited(oneRouter, ['    vrid: 7\n', '    vrid: 7\n    vrid: 8\n']),
    says: ['agent.yaml:6:5 routers[0].vrid: stands here again, must stand once (first on line 5)'],
  },
  {
    when: 'an alias is used',
    text: edited(oneRouter, ['host-a }', '&me host-a }\nlogging: { level: *me }']),
    says: ['agent.yaml:3:19 logging.level: is an alias, must be written out'],
  },
  {
    when: 'an anchor is missing',
    text: edited(oneRouter, ['host-a }', '*me }']),
    says: ['agent.yaml:2:14 agent.id: is an alias, must be written out'],
  },
  {
    when: 'a tag is used',
    text: edited(oneRouter, ['id: r1', 'id: !secret r1']),
    says: ['agent.yaml:4:9 has a tag, must have none: Unresolved tag: !secret'],
  },
  {
    when: 'a key is a list',
    text: edited(oneRouter, ['agent: {', 'agent: { [a, b]: 1, ']),
    says: ['agent.yaml:2:10 agent: has a key that is not a word, must have words only'],
  },
  {
    when: 'an id has a slash',
    text: edited(oneRouter, ['id: r1', 'id: ../r1']),
    says: [
      'agent.yaml:4:9 routers[0].id: is "../r1", must be 1 to 64 letters, digits, ".", "_" or "-" and start with a letter or digit',
    ],
  },
  {
    when: 'an id is a number',
    text: edited(oneRouter, ['id: r1', 'id: 17']),
    says: [
      'agent.yaml:4:9 routers[0].id: is 17, must be 1 to 64 letters, digits, ".", "_" or "-" and start with a letter or digit, in quotes',
    ],
  },
  {
    when: 'an id is too long',
    text: edited(oneRouter, ['id: r1', 'id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']),
    says: [
      'agent.yaml:4:9 routers[0].id: is "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...", must be 1 to 64 letters, digits, ".", "_" or "-" and start with a letter or digit',
    ],
  },
  {
    when: 'vrid is too big',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 300']),
    says: ['agent.yaml:5:11 routers[0].vrid: is 300, must be a whole number from 1 to 255'],
  },
  {
    when: 'vrid is 0',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 0']),
    says: ['agent.yaml:5:11 routers[0].vrid: is 0, must be a whole number from 1 to 255'],
  },
  {
    when: 'vrid is missing',
    text: edited(oneRouter, ['    vrid: 7\n', '']),
    says: ['agent.yaml:4:5 routers[0].vrid: is missing, must be a whole number from 1 to 255'],
  },
  {
    when: 'vrid is misspelt',
    text: edited(oneRouter, ['vrid: 7', 'vird: 7']),
    says: [
      'agent.yaml:4:5 routers[0].vrid: is missing, must be a whole number from 1 to 255',
      'agent.yaml:5:5 routers[0]: unknown key `vird`; did you mean `vrid`?',
    ],
  },
  {
    when: 'a namespace climbs',
    text: edited(oneRouter, ['vrid: 7', `vrid: 7\n    namespace: '..'`]),
    says: [
      'agent.yaml:6:16 routers[0].namespace: is "..", must be a namespace name: 1 to 128 letters, digits, ".", "_" or "-", not starting with "." or "-"',
    ],
  },
  {
    when: 'a namespace has a brace',
    text: edited(oneRouter, ['vrid: 7', `vrid: 7\n    namespace: 'x}'`]),
    says: [
      'agent.yaml:6:16 routers[0].namespace: is "x}", must be a namespace name: 1 to 128 letters, digits, ".", "_" or "-", not starting with "." or "-"',
    ],
  },
  {
    when: 'the VRRP version is 4',
    text: edited(oneRouter, ['vrrpVersion: 3', 'vrrpVersion: 4']),
    says: ['agent.yaml:6:18 routers[0].vrrpVersion: is 4, must be 2 or 3'],
  },
  {
    when: 'an interval has no unit',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    advertisementInterval: 1']),
    says: [
      'agent.yaml:6:28 routers[0].advertisementInterval: is 1, must be a duration from 10ms to 255s, such as 1s or 100ms',
    ],
  },
  {
    when: 'an interval has an unknown unit',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    advertisementInterval: 1m']),
    says: [
      'agent.yaml:6:28 routers[0].advertisementInterval: is "1m", must be a duration from 10ms to 255s, such as 1s or 100ms',
    ],
  },
  {
    when: 'an interval is 5 ms',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    advertisementInterval: 5ms']),
    says: [
      'agent.yaml:6:28 routers[0].advertisementInterval: is "5ms", must be a duration from 10ms to 255s, such as 1s or 100ms',
    ],
  },
  {
    when: 'an interval of VRRPv3 is between its steps',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    advertisementInterval: 15ms']),
    says: [
      'agent.yaml:6:28 routers[0].advertisementInterval: is 15ms, must be 10ms to 40.95s in steps of 10ms in VRRPv3',
    ],
  },
  {
    when: 'an interval of VRRPv3 is too long',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    advertisementInterval: 41s']),
    says: [
      'agent.yaml:6:28 routers[0].advertisementInterval: is 41s, must be 10ms to 40.95s in steps of 10ms in VRRPv3',
    ],
  },
  {
    when: 'an interval of VRRPv2 is below a second',
    text: edited(oneRouter, ['vrrpVersion: 3', 'vrrpVersion: 2\n    advertisementInterval: 100ms']),
    says: [
      'agent.yaml:7:28 routers[0].advertisementInterval: is 100ms, must be whole seconds from 1s to 255s in VRRPv2',
    ],
  },
  {
    when: 'a priority claims to own the addresses',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    priority: 255']),
    says: ['agent.yaml:6:15 routers[0].priority: is 255, must be a whole number from 1 to 254'],
  },
  {
    when: 'preempt is true',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    preempt: true']),
    says: ['agent.yaml:6:14 routers[0].preempt: is true, must be false or a map with the key delay'],
  },
  {
    when: 'a preempt delay is too long',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    preempt: { delay: 1001s }']),
    says: [
      'agent.yaml:6:23 routers[0].preempt.delay: is "1001s", must be a duration from 0ms to 1000s, such as 1s or 100ms',
    ],
  },
  {
    when: 'a preempt key is misspelt',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    preempt: { delay: 5s, dealy: 6s }']),
    says: ['agent.yaml:6:27 routers[0].preempt: unknown key `dealy`; did you mean `delay`?'],
  },
  {
    when: 'a password stands in the file',
    text: edited(oneRouter, ['vrrpVersion: 3', 'vrrpVersion: 2\n    authentication: hunter2']),
    says: [
      'agent.yaml:7:21 routers[0].authentication: is a text of 7 characters (not shown), must be none or a map with the key hmac, pass or passFile',
    ],
  },
  {
    when: 'a password stands under a key of its own',
    text: edited(oneRouter, ['vrrpVersion: 3', 'vrrpVersion: 2\n    authentication: { password: hunter2 }']),
    says: ['agent.yaml:7:23 routers[0].authentication: unknown key `password`; must be one of hmac, pass, passFile'],
  },
  {
    when: 'a password stands where its file belongs',
    text: edited(oneRouter, ['vrrpVersion: 3', 'vrrpVersion: 2\n    authentication: { passFile: hunter2 }']),
    says: [
      'agent.yaml:7:33 routers[0].authentication.passFile: is a text of 7 characters (not shown), must be an absolute path of at most 200 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
    ],
  },
  {
    when: 'a key has two sources',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { senders: [{ key: { id: a, file: /a, credential: a } }] }\nagent:',
    ]),
    says: [
      'agent.yaml:2:33 stateChange.senders[0].key: names file and credential, must name one of file, credential, command, environment and vault',
    ],
  },
  {
    when: 'a password has no source, and a key stands where its source belongs',
    text: edited(
      oneRouter,
      ['vrrpVersion: 3', 'vrrpVersion: 2\n    authentication: { pass: {} }'],
      ['agent:', `stateChange: { senders: [{ key: { id: a, environment: '${'0f'.repeat(32)}' } }] }\nagent:`],
    ),
    says: [
      'agent.yaml:2:55 stateChange.senders[0].key.environment: is a text of 64 characters (not shown), must be the name of an environment variable: letters, digits and "_", not starting with a digit',
      'agent.yaml:8:21 routers[0].authentication: names no source, must name one of file, credential, command, environment and vault below pass',
    ],
  },
  {
    when: 'Vault is to be reached without TLS, and its logins are none or two',
    text: edited(oneRouter, [
      'agent:',
      'vault: { address: "http://v:8200", caFile: ca.pem, host: {}, agent: { token: { file: /t }, appRole: { roleId: r, secretId: { file: /s } } } }\nagent:',
    ]),
    says: [
      'agent.yaml:2:19 vault.address: is a text of 13 characters (not shown), must be https:// with a host and a port, and nothing behind them, such as https://vault.example.net:8200',
      'agent.yaml:2:44 vault.caFile: is a text of 6 characters (not shown), must be an absolute path of at most 200 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
      'agent.yaml:2:58 vault.host: names no login, must name one of token and appRole',
      'agent.yaml:2:69 vault.agent: names token and appRole, must name one of token and appRole',
    ],
  },
  {
    when: 'secrets of Vault have no login, or a path that leads out of their engine',
    text: edited(
      oneRouter,
      ['vrrpVersion: 3', 'vrrpVersion: 2\n    authentication: { pass: { vault: { path: keepward/r1, field: p } } }'],
      [
        'agent:',
        'stateChange: { senders: [{ key: { id: a, vault: { path: k, field: f } } }, { key: { id: b, vault: { path: a/../b, field: f } } }] }\nagent:',
      ],
    ),
    says: [
      'agent.yaml:2:107 stateChange.senders[1].key.vault.path: is a text of 6 characters (not shown), must be a path in Vault: up to 10 words of letters, digits, ".", "_" and "-" with "/" between them',
      'agent.yaml:8:38 routers[0].authentication.pass.vault: is there, so vault.host must be: the login of keepward-host',
    ],
  },
  {
    when: 'a key of Vault has no login of the agent',
    text: edited(oneRouter, [
      'agent:',
      'stateChange: { senders: [{ key: { id: a, vault: { path: k, field: f } } }] }\nagent:',
    ]),
    says: [
      'agent.yaml:2:49 stateChange.senders[0].key.vault: is there, so vault.agent must be: the login of the agent',
    ],
  },
  {
    when: 'a token stands where its source belongs, and the token of Vault is to come from Vault',
    text: edited(oneRouter, [
      'agent:',
      'vault: { address: "https://v", caFile: /ca, host: { token: hvs.abc }, agent: { token: { vault: { path: t } } } }\nagent:',
    ]),
    says: [
      'agent.yaml:2:60 vault.host.token: is a text of 7 characters (not shown), must be a map with one of the keys file, credential, command and environment',
      'agent.yaml:2:89 vault.agent.token: unknown key `vault`; must be one of file, credential, command, environment',
    ],
  },
  {
    when: 'the command of a password is none that can be run as it stands',
    text: edited(oneRouter, [
      'vrrpVersion: 3',
      'vrrpVersion: 2\n    authentication: { pass: { command: [cat, "/etc/p; rm x"] } }',
    ]),
    says: [
      'agent.yaml:7:40 routers[0].authentication.pass.command: is a list, must begin with the absolute path of a program',
      'agent.yaml:7:46 routers[0].authentication.pass.command[1]: is a text of 12 characters (not shown), must be 1 to 200 letters, digits, ".", "_", "+", ":", "=", ",", "@", "%", "/" and "-"',
    ],
  },
  {
    when: 'VRRPv3 has a password',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    authentication: { passFile: /etc/keepward/secrets/r1 }']),
    says: ['agent.yaml:6:21 routers[0].authentication: names a password, must be none or hmac: VRRPv3 has no password'],
  },
  {
    when: 'AH is asked for',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    authentication: AH']),
    says: [
      'agent.yaml:6:21 routers[0].authentication: is a text of 2 characters (not shown), must be none or a map with the key hmac, pass or passFile; AH is not offered: use hmac, or put WireGuard or IPsec under the HA link (docs/operations.md)',
    ],
  },
  {
    when: 'AH is asked for by a key of its own',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    authentication: { ah: /etc/keepward/secrets/r1 }']),
    says: [
      'agent.yaml:6:23 routers[0].authentication: unknown key `ah`; must be one of hmac, pass, passFile; AH is not offered: use hmac, or put WireGuard or IPsec under the HA link (docs/operations.md)',
    ],
  },
  {
    when: 'authentication names nothing',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    authentication: {}']),
    says: ['agent.yaml:6:21 routers[0].authentication: names nothing, must name one of hmac, pass and passFile'],
  },
  {
    when: 'authentication names both of its kinds',
    text: edited(oneRouter, [
      'vrid: 7',
      'vrid: 7\n    authentication: { hmac: { keys: [{ id: 1, file: /etc/k1 }], activeKey: 1 }, passFile: /etc/p }',
    ]),
    says: [
      'agent.yaml:6:21 routers[0].authentication: names hmac and passFile, must name one of hmac, pass and passFile',
    ],
  },
  {
    when: 'the active key of hmac is none of its keys, and two have one id',
    text: edited(oneRouter, [
      'vrid: 7',
      'vrid: 7\n    authentication: { hmac: { keys: [{ id: 1, file: /etc/k1 }, { id: 1, file: /etc/k2 }], activeKey: 2 } }',
    ]),
    says: [
      'agent.yaml:6:70 routers[0].authentication.hmac.keys[1].id: is 1, must differ from routers[0].authentication.hmac.keys[0].id on line 6',
      'agent.yaml:6:102 routers[0].authentication.hmac.activeKey: is 2, must be the id of one of the keys: 1, 1',
    ],
  },
  {
    when: 'hmac has no keys, an id out of range and no such mode',
    text: edited(oneRouter, [
      'vrid: 7',
      'vrid: 7\n    authentication: { hmac: { keys: [], activeKey: 256, mode: receive } }',
    ]),
    says: [
      'agent.yaml:6:37 routers[0].authentication.hmac.keys: is an empty list, must be a list of at least one key',
      'agent.yaml:6:52 routers[0].authentication.hmac.activeKey: is 256, must be a whole number from 1 to 255',
      'agent.yaml:6:63 routers[0].authentication.hmac.mode: is a text of 7 characters (not shown), must be enforce or permissive',
    ],
  },
  {
    when: 'a key of hmac stands where its file belongs',
    text: edited(oneRouter, [
      'vrid: 7',
      "vrid: 7\n    authentication: { hmac: { keys: [{ id: 1, file: 'hex:001122' }], activeKey: 1 } }",
    ]),
    says: [
      'agent.yaml:6:53 routers[0].authentication.hmac.keys[0].file: is a text of 10 characters (not shown), must be an absolute path of at most 200 letters, digits, ".", "_", "-" and "/", without ".", ".." or a "/" at the end',
    ],
  },
  {
    when: 'ha has neither unicast nor multicast',
    text: edited(oneRouter, ['      unicast: { source: 169.254.192.1, peers: [169.254.192.2] }\n', '']),
    says: ['agent.yaml:8:7 routers[0].ha: names neither unicast nor multicast, must name one of them'],
  },
  {
    when: 'ha has both unicast and multicast',
    text: edited(oneRouter, ['      unicast:', '      multicast: true\n      unicast:']),
    says: ['agent.yaml:8:7 routers[0].ha: names both unicast and multicast, must name one of them'],
  },
  {
    when: 'multicast is false',
    text: edited(oneRouter, ['unicast: { source: 169.254.192.1, peers: [169.254.192.2] }', 'multicast: false']),
    says: ['agent.yaml:9:18 routers[0].ha.multicast: is false, must be true or a map with the key peers'],
  },
  {
    when: 'unicast has no peer',
    text: edited(oneRouter, ['[169.254.192.2]', '[]']),
    says: ['agent.yaml:9:48 routers[0].ha.unicast.peers: is an empty list, must be a list of at least one IP address'],
  },
  {
    when: 'a peer is the source',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [169.254.192.1]']),
    says: [
      `agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is 169.254.192.1, the router's own source (routers[0].ha.unicast.source on line 9), must be another host's address`,
    ],
  },
  {
    when: 'a peer stands twice',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [169.254.192.2, 169.254.192.2]']),
    says: [
      'agent.yaml:9:64 routers[0].ha.unicast.peers[1]: is 169.254.192.2, must differ from routers[0].ha.unicast.peers[0] on line 9',
    ],
  },
  {
    when: 'a peer is of the other family',
    text: edited(oneRouter, ['peers: [169.254.192.2]', `peers: ['fd00::2']`]),
    says: [
      'agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is fd00::2, must be IPv4 as its source 169.254.192.1 (routers[0].ha.unicast.source on line 9)',
    ],
  },
  {
    when: 'a peer is a host name',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [host-b]']),
    says: [
      'agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is "host-b", must be an IP address of one host without prefix length, such as 192.0.2.1 or 2001:db8::1',
    ],
  },
  {
    when: 'a peer has a prefix',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [169.254.192.2/18]']),
    says: [
      'agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is "169.254.192.2/18", must be an IP address of one host without prefix length, such as 192.0.2.1 or 2001:db8::1',
    ],
  },
  {
    when: 'a peer is a multicast address',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [224.0.0.18]']),
    says: [
      'agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is "224.0.0.18", must be an IP address of one host without prefix length, such as 192.0.2.1 or 2001:db8::1; this is a multicast address',
    ],
  },
  {
    when: 'a peer is the loopback',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [127.0.0.1]']),
    says: [
      'agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is "127.0.0.1", must be an IP address of one host without prefix length, such as 192.0.2.1 or 2001:db8::1; this is a loopback address',
    ],
  },
  {
    when: 'a peer has a zone',
    text: edited(oneRouter, ['peers: [169.254.192.2]', `peers: ['fe80::1%eth0']`]),
    says: [
      'agent.yaml:9:49 routers[0].ha.unicast.peers[0]: is "fe80::1%eth0", must be an IP address of one host without prefix length, such as 192.0.2.1 or 2001:db8::1',
    ],
  },
  {
    when: 'the unicast source is no address of the HA interface',
    text: edited(oneRouter, ['source: 169.254.192.1', 'source: 169.254.192.9']),
    says: [
      'agent.yaml:9:26 routers[0].ha.unicast.source: is 169.254.192.9, must be an address of the HA interface ha0 (169.254.192.1/18)',
    ],
  },
  {
    when: 'VRRPv2 has IPv6 unicast',
    text: edited(oneRouter, [
      'vrrpVersion: 3\n    ha:\n      interface: ha0\n      unicast: { source: 169.254.192.1, peers: [169.254.192.2] }\n    interfaces:\n      - { name: ha0, attach: { bridge: br-ha }, addresses: [169.254.192.1/18] }',
      `vrrpVersion: 2\n    ha:\n      interface: ha0\n      unicast: { source: 'fd00::1', peers: ['fd00::2'] }\n    interfaces:\n      - { name: ha0, attach: { bridge: br-ha }, addresses: ['fd00::1/64'] }`,
    ]),
    says: [
      'agent.yaml:6:18 routers[0].vrrpVersion: is 2, must be 3: its unicast source is IPv6, and VRRPv2 speaks IPv4 only',
    ],
  },
  {
    when: 'VRRPv2 has IPv6 addresses only',
    text: edited(
      oneRouter,
      [
        'vrrpVersion: 3\n    ha:\n      interface: ha0\n      unicast: { source: 169.254.192.1, peers: [169.254.192.2] }',
        'vrrpVersion: 2\n    ha: { interface: ha0, multicast: true }',
      ],
      ['{ address: 203.0.113.10/24, interface: ext0 }', '{ address: 2001:db8::10/64, interface: ext0 }'],
      ['via: 203.0.113.1', `via: '2001:db8::1'`],
    ),
    says: [
      'agent.yaml:6:18 routers[0].vrrpVersion: is 2, must be 3: its virtual addresses are IPv6 only, and VRRPv2 speaks IPv4 only',
    ],
  },
  {
    when: 'a peer is beyond a router and no minTtl is declared',
    text: edited(oneRouter, ['peers: [169.254.192.2]', 'peers: [169.254.192.2, 192.0.2.7]']),
    says: [
      'agent.yaml:9:64 routers[0].ha.unicast.peers[1]: is 192.0.2.7, outside the subnets of ha0 (169.254.192.1/18), must come with ha.unicast.minTtl',
    ],
  },
  {
    when: 'minTtl is more than a packet can have',
    text: edited(oneRouter, ['peers: [169.254.192.2] }', 'peers: [169.254.192.2], minTtl: 256 }']),
    says: ['agent.yaml:9:73 routers[0].ha.unicast.minTtl: is 256, must be a whole number from 1 to 255'],
  },
  {
    when: 'minTtl is none',
    text: edited(oneRouter, ['peers: [169.254.192.2] }', 'peers: [169.254.192.2], minTtl: 0 }']),
    says: ['agent.yaml:9:73 routers[0].ha.unicast.minTtl: is 0, must be a whole number from 1 to 255'],
  },
  {
    when: 'minTtl stands beside multicast',
    text: edited(oneRouter, [
      'unicast: { source: 169.254.192.1, peers: [169.254.192.2] }',
      'multicast: { peers: [169.254.192.2], minTtl: 254 }',
    ]),
    says: ['agent.yaml:9:44 routers[0].ha.multicast: unknown key `minTtl`; must be one of peers'],
  },
  {
    when: 'the peers of multicast are no list',
    text: edited(oneRouter, [
      'unicast: { source: 169.254.192.1, peers: [169.254.192.2] }',
      'multicast: { peers: 169.254.192.2 }',
    ]),
    says: ['agent.yaml:9:27 routers[0].ha.multicast.peers: is "169.254.192.2", must be a list of IP addresses'],
  },
  {
    when: 'a peer of multicast is the router itself, repeated, elsewhere or of the other family',
    text: edited(oneRouter, [
      'unicast: { source: 169.254.192.1, peers: [169.254.192.2] }',
      `multicast: { peers: [169.254.192.1, 169.254.192.2, 169.254.192.2, 192.0.2.7, 'fe80::2'] }`,
    ]),
    says: [
      `agent.yaml:9:28 routers[0].ha.multicast.peers[0]: is 169.254.192.1, an address of the router's own ha0, must be another host's address`,
      'agent.yaml:9:58 routers[0].ha.multicast.peers[2]: is 169.254.192.2, must differ from routers[0].ha.multicast.peers[1] on line 9',
      'agent.yaml:9:73 routers[0].ha.multicast.peers[3]: is 192.0.2.7, must lie in a subnet of ha0 (169.254.192.1/18): multicast does not leave the link',
      'agent.yaml:9:84 routers[0].ha.multicast.peers[4]: is fe80::2, must be IPv4 as the advertisements of this router',
    ],
  },
  {
    when: 'multicast over IPv6 has peers, and no source that they could declare',
    text: edited(
      oneRouter,
      [
        'unicast: { source: 169.254.192.1, peers: [169.254.192.2] }',
        `multicast: { peers: ['fe80::2', 'fd00::2'] }\n    marker: fe80::7/64`,
      ],
      ['169.254.192.1/18', `'fd00::1/64'`],
    ),
    says: [
      'agent.yaml:9:39 routers[0].ha.multicast.peers[1]: is fd00::2, must be a link-local address such as fe80::2: IPv6 advertisements come from one',
      'agent.yaml:12:9 routers[0].interfaces[0]: has no link-local IPv6 address, must have one: multicast advertisements leave from ha0',
    ],
  },
  {
    when: 'multicast has no IPv4 address to come from',
    text: edited(
      oneRouter,
      ['unicast: { source: 169.254.192.1, peers: [169.254.192.2] }', 'multicast: true'],
      [', addresses: [169.254.192.1/18]', ''],
    ),
    says: [
      'agent.yaml:11:9 routers[0].interfaces[0]: has no IPv4 address, must have one: multicast advertisements leave from ha0',
    ],
  },
  {
    when: 'the HA interface is not declared',
    text: edited(oneRouter, ['      interface: ha0', '      interface: ha1']),
    says: [
      'agent.yaml:8:18 routers[0].ha.interface: is "ha1", which the router does not declare, must be one of its interfaces: ha0, ext0',
    ],
  },
  {
    when: 'the HA interface is the loopback',
    text: edited(
      oneRouter,
      ['      interface: ha0', '      interface: lo'],
      [
        ' }\n    virtualAddresses',
        ' }\n      - { name: lo, attach: existing, addresses: [169.254.192.3/32] }\n    virtualAddresses',
      ],
    ),
    says: [
      'agent.yaml:8:18 routers[0].ha.interface: is "lo", must be an interface that reaches the other hosts',
      'agent.yaml:9:26 routers[0].ha.unicast.source: is 169.254.192.1, must be an address of the HA interface lo (169.254.192.3/32)',
    ],
  },
  {
    when: 'a tracked interface is not declared',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    track: [ha0, eth0]']),
    says: [
      'agent.yaml:6:18 routers[0].track[1]: is "eth0", which the router does not declare, must be one of its interfaces: ha0, ext0',
    ],
  },
  {
    when: 'an interface is tracked twice',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    track: [ha0, ha0]']),
    says: ['agent.yaml:6:18 routers[0].track[1]: is "ha0", must differ from routers[0].track[0] on line 6'],
  },
  {
    when: 'interfaces is an empty list',
    text: 'version: 1\nrouters:\n  - id: r1\n    vrid: 7\n    ha: { interface: ha0, multicast: true }\n    interfaces: []\n',
    says: [
      'agent.yaml:5:22 routers[0].ha.interface: is "ha0", which the router does not declare, must be declared under interfaces',
      'agent.yaml:6:17 routers[0].interfaces: is an empty list, must be a list of at least one interface',
    ],
  },
  {
    when: 'an interface name is too long',
    text: edited(oneRouter, ['name: ext0', 'name: external-link-01']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "external-link-01", must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
    ],
  },
  {
    when: 'an interface name opens a block of keepalived.conf',
    text: edited(oneRouter, ['name: ext0', 'name: "ext0 {"']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "ext0 {", must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
    ],
  },
  {
    when: 'an interface name has a control character',
    text: edited(oneRouter, ['name: ext0', 'name: "ext0\\e[2J"']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "ext0\\u{1b}[2J", must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
    ],
  },
  {
    when: 'an interface name starts as an option',
    text: edited(oneRouter, ['name: ext0', 'name: -x']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "-x", must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
    ],
  },
  {
    when: 'an interface is called all',
    text: edited(oneRouter, ['name: ext0', 'name: all']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "all", must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0',
    ],
  },
  {
    when: 'an interface stands twice',
    text: edited(oneRouter, ['name: ext0', 'name: ha0']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "ha0", must differ from routers[0].interfaces[0].name on line 11',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0, ha0',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0, ha0',
    ],
  },
  {
    when: 'an interface of ours is called lo',
    text: edited(oneRouter, ['name: ext0, attach: { macvlan: eth1 }', 'name: lo, attach: { macvlan: eth1 }']),
    says: [
      'agent.yaml:12:17 routers[0].interfaces[1].name: is "lo", must be another name: a namespace has its own loopback',
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0, lo',
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0, lo',
    ],
  },
  {
    when: 'an attach is misspelt',
    text: edited(oneRouter, ['{ bridge: br-ha }', '{ bridg: br-ha }']),
    says: ['agent.yaml:11:32 routers[0].interfaces[0].attach: unknown key `bridg`; did you mean `bridge`?'],
  },
  {
    when: 'an attach is an unknown word',
    text: edited(oneRouter, ['{ bridge: br-ha }', 'bridge']),
    says: [
      'agent.yaml:11:30 routers[0].interfaces[0].attach: is "bridge", must be existing or a map with exactly one of the keys bridge, macvlan and vxlan',
    ],
  },
  {
    when: 'an attach has two kinds',
    text: edited(oneRouter, ['{ bridge: br-ha }', '{ bridge: br-ha, macvlan: eth1 }']),
    says: [
      'agent.yaml:11:30 routers[0].interfaces[0].attach: is a map, must be existing or a map with exactly one of the keys bridge, macvlan and vxlan',
    ],
  },
  {
    when: 'a bridge name is too long',
    text: edited(oneRouter, ['br-ha', 'br-very-long-name']),
    says: [
      'agent.yaml:11:40 routers[0].interfaces[0].attach.bridge: is "br-very-long-name", must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
    ],
  },
  {
    when: 'a vxlan lacks keys',
    text: edited(oneRouter, ['{ macvlan: eth1 }', '{ vxlan: { vni: 5 } }']),
    says: [
      'agent.yaml:12:40 routers[0].interfaces[1].attach.vxlan.parent: is missing, must be an interface name: 1 to 15 letters, digits, ".", "_" or "-", not starting with "." or "-", not "all" or "default"',
      'agent.yaml:12:40 routers[0].interfaces[1].attach.vxlan.remote: is missing, must be the IP address of the remote end or a multicast group, such as 192.0.2.2 or 239.1.1.1',
    ],
  },
  {
    when: 'a vxlan has a vni that is too big',
    text: edited(oneRouter, ['{ macvlan: eth1 }', '{ vxlan: { vni: 16777216, parent: eth0, remote: 239.1.1.1 } }']),
    says: [
      'agent.yaml:12:47 routers[0].interfaces[1].attach.vxlan.vni: is 16777216, must be a whole number from 1 to 16777215',
    ],
  },
  {
    when: 'a vxlan has a name as remote end',
    text: edited(oneRouter, ['{ macvlan: eth1 }', '{ vxlan: { vni: 5, parent: eth0, remote: peer.example } }']),
    says: [
      'agent.yaml:12:72 routers[0].interfaces[1].attach.vxlan.remote: is "peer.example", must be the IP address of the remote end or a multicast group, such as 192.0.2.2 or 239.1.1.1',
    ],
  },
  {
    when: 'a vxlan has the broadcast address as remote end',
    text: edited(oneRouter, ['{ macvlan: eth1 }', '{ vxlan: { vni: 5, parent: eth0, remote: 255.255.255.255 } }']),
    says: [
      'agent.yaml:12:72 routers[0].interfaces[1].attach.vxlan.remote: is "255.255.255.255", must be the IP address of the remote end or a multicast group, such as 192.0.2.2 or 239.1.1.1; this is the broadcast address',
    ],
  },
  {
    when: 'an MTU is too small',
    text: edited(oneRouter, ['{ macvlan: eth1 } }', '{ macvlan: eth1 }, mtu: 100 }']),
    says: ['agent.yaml:12:55 routers[0].interfaces[1].mtu: is 100, must be a whole number from 576 to 65535'],
  },
  {
    when: 'an MTU is too small for IPv6',
    text: edited(oneRouter, ['{ macvlan: eth1 } }', `{ macvlan: eth1 }, mtu: 1200, addresses: ['2001:db8::2/64'] }`]),
    says: [
      'agent.yaml:12:55 routers[0].interfaces[1].mtu: is 1200, must be at least 1280: IPv6 address 2001:db8::2 is on it',
    ],
  },
  {
    when: 'an existing interface has an MTU and a hardware address',
    text: edited(oneRouter, ['{ macvlan: eth1 } }', `existing, mtu: 1400, macAddress: '02:00:00:00:00:01' }`]),
    says: [
      'agent.yaml:12:46 routers[0].interfaces[1].mtu: is 1400, must be left out: an existing interface belongs to whoever makes it',
      'agent.yaml:12:64 routers[0].interfaces[1].macAddress: is "02:00:00:00:00:01", must be left out: an existing interface belongs to whoever makes it',
    ],
  },
  {
    when: `a hardware address is a group's`,
    text: edited(oneRouter, ['{ macvlan: eth1 } }', `{ macvlan: eth1 }, macAddress: '01:00:5e:00:00:12' }`]),
    says: [
      'agent.yaml:12:62 routers[0].interfaces[1].macAddress: is "01:00:5e:00:00:12", must be the hardware address of one station, such as 02:00:00:00:00:01',
    ],
  },
  {
    when: 'an address has no prefix length',
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.10']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.10", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64',
    ],
  },
  {
    when: 'an address has octets beyond 255',
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.300/24']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.300/24", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64',
    ],
  },
  {
    when: 'a prefix length is too long',
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.10/33']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.10/33", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64',
    ],
  },
  {
    when: `an address is the network's`,
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.0/24']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.0/24", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is the network address',
    ],
  },
  {
    when: 'an address is the broadcast address of its subnet',
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.255/24']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.255/24", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is the broadcast address of its subnet',
    ],
  },
  {
    when: 'an address is unspecified',
    text: edited(oneRouter, ['203.0.113.10/24', '0.0.0.0/24']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "0.0.0.0/24", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is the unspecified address',
    ],
  },
  {
    when: 'an address is the loopback',
    text: edited(oneRouter, ['203.0.113.10/24', '127.0.0.1/8']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "127.0.0.1/8", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is a loopback address',
    ],
  },
  {
    when: 'an address is IPv4-mapped',
    text: edited(oneRouter, ['203.0.113.10/24', `'::ffff:203.0.113.10/120'`]),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "::ffff:203.0.113.10/120", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is an IPv4-mapped address',
    ],
  },
  {
    when: 'an address has prefix length 0',
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.10/0']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.10/0", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is a prefix of length 0, which would make every address a neighbour',
    ],
  },
  {
    when: 'an address stands twice',
    text: edited(oneRouter, [
      '      - { address: 203.0.113.10/24, interface: ext0 }\n',
      '      - { address: 203.0.113.10/24, interface: ext0 }\n      - { address: 203.0.113.10/32, interface: ha0 }\n',
    ]),
    says: [
      'agent.yaml:15:20 routers[0].virtualAddresses[1].address: is 203.0.113.10, must differ from routers[0].virtualAddresses[0].address on line 14',
    ],
  },
  {
    when: 'a virtual address is an own one',
    text: edited(oneRouter, ['203.0.113.10/24, interface: ext0', '169.254.192.1/18, interface: ha0']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is 169.254.192.1, must differ from routers[0].interfaces[0].addresses[0] on line 11',
      'agent.yaml:16:29 routers[0].virtualRoutes[0].via: is 203.0.113.1, must lie in the subnet of an address on ext0',
    ],
  },
  {
    when: 'a virtual address is on an undeclared interface',
    text: edited(oneRouter, ['203.0.113.10/24, interface: ext0', '203.0.113.10/24, interface: int0']),
    says: [
      'agent.yaml:14:48 routers[0].virtualAddresses[0].interface: is "int0", which the router does not declare, must be one of its interfaces: ha0, ext0',
      'agent.yaml:16:29 routers[0].virtualRoutes[0].via: is 203.0.113.1, must lie in the subnet of an address on ext0',
    ],
  },
  {
    when: 'a virtual address is the marker',
    text: edited(oneRouter, ['203.0.113.10/24', '169.254.0.7/24']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is 169.254.0.7, must differ from the default of routers[0].marker',
      'agent.yaml:16:29 routers[0].virtualRoutes[0].via: is 203.0.113.1, must lie in the subnet of an address on ext0',
    ],
  },
  {
    when: 'a marker shares a subnet with a virtual address',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    marker: 203.0.113.7/24']),
    says: [
      'agent.yaml:6:13 routers[0].marker: is 203.0.113.7/24, must lie outside the subnet of 203.0.113.10/24 (routers[0].virtualAddresses[0].address on line 15)',
    ],
  },
  {
    when: 'the default marker shares the subnet of an own address',
    text: edited(oneRouter, ['169.254.192.1/18', '169.254.192.1/16']),
    says: [
      'agent.yaml:4:5 routers[0].marker: is by default 169.254.0.7/24, must lie outside the subnet of 169.254.192.1/16 (routers[0].interfaces[0].addresses[0] on line 11)',
    ],
  },
  {
    when: 'a marker is of the other family',
    text: edited(oneRouter, ['vrid: 7', `vrid: 7\n    marker: 'fe80::7/64'`]),
    says: ['agent.yaml:6:13 routers[0].marker: is fe80::7/64, must be IPv4 as the advertisements of this router'],
  },
  {
    when: 'an IPv6 marker is not link-local',
    text: edited(
      oneRouter,
      ['vrid: 7', `vrid: 7\n    marker: '2001:db8:7::7/64'`],
      ['source: 169.254.192.1, peers: [169.254.192.2]', `source: 'fd00::1', peers: ['fd00::2']`],
      ['169.254.192.1/18', `'fd00::1/64'`],
    ),
    says: [
      'agent.yaml:6:13 routers[0].marker: is 2001:db8:7::7/64, must be a link-local address such as fe80::5652:7/64 in IPv6',
    ],
  },
  {
    when: 'a route has host bits',
    text: edited(oneRouter, ['to: default', 'to: 198.51.100.1/24']),
    says: [
      'agent.yaml:16:15 routers[0].virtualRoutes[0].to: is "198.51.100.1/24", must be "default" or a network with its prefix length, such as 198.51.100.0/24 or 2001:db8::/32; this one has bits set after its prefix',
    ],
  },
  {
    when: 'a route leads to multicast',
    text: edited(oneRouter, ['to: default', 'to: 224.0.0.0/4']),
    says: [
      'agent.yaml:16:15 routers[0].virtualRoutes[0].to: is "224.0.0.0/4", must be "default" or a network with its prefix length, such as 198.51.100.0/24 or 2001:db8::/32; this is a multicast address',
    ],
  },
  {
    when: 'a route leads nowhere',
    text: edited(oneRouter, ['to: default, via: 203.0.113.1, interface: ext0', 'to: 198.51.100.0/24']),
    says: ['agent.yaml:16:9 routers[0].virtualRoutes[0]: has neither via nor interface, must have one of them'],
  },
  {
    when: 'a default route has no family',
    text: edited(oneRouter, ['to: default, via: 203.0.113.1,', 'to: default,']),
    says: [
      'agent.yaml:16:15 routers[0].virtualRoutes[0].to: is "default", must be 0.0.0.0/0 or ::/0 where no via tells the family',
    ],
  },
  {
    when: 'a next hop is of the other family',
    text: edited(oneRouter, ['to: default, via: 203.0.113.1', `to: '::/0', via: 203.0.113.1`]),
    says: [
      'agent.yaml:16:28 routers[0].virtualRoutes[0].via: is 203.0.113.1, must be IPv6 as its destination ::/0 (routers[0].virtualRoutes[0].to on line 16)',
    ],
  },
  {
    when: 'a next hop is the router itself',
    text: edited(oneRouter, ['via: 203.0.113.1,', 'via: 203.0.113.10,']),
    says: [
      `agent.yaml:16:29 routers[0].virtualRoutes[0].via: is 203.0.113.10, the router's own address (routers[0].virtualAddresses[0].address on line 14), must be another's`,
    ],
  },
  {
    when: 'a next hop is on no subnet',
    text: edited(oneRouter, ['via: 203.0.113.1,', 'via: 198.51.100.1,']),
    says: [
      'agent.yaml:16:29 routers[0].virtualRoutes[0].via: is 198.51.100.1, must lie in the subnet of an address on ext0',
    ],
  },
  {
    when: 'a link-local next hop has no interface',
    text: edited(oneRouter, ['via: 203.0.113.1, interface: ext0', `via: 'fe80::1'`]),
    says: [
      'agent.yaml:16:29 routers[0].virtualRoutes[0].via: is fe80::1, must come with an interface: a link-local address is on every link',
    ],
  },
  {
    when: 'a route is on an undeclared interface',
    text: edited(oneRouter, ['via: 203.0.113.1, interface: ext0', 'via: 203.0.113.1, interface: ext9']),
    says: [
      'agent.yaml:16:53 routers[0].virtualRoutes[0].interface: is "ext9", which the router does not declare, must be one of its interfaces: ha0, ext0',
    ],
  },
  {
    when: 'a metric is negative',
    text: edited(oneRouter, ['interface: ext0 }\n', 'interface: ext0, metric: -1 }\n', 'last']),
    says: ['agent.yaml:16:67 routers[0].virtualRoutes[0].metric: is -1, must be a whole number from 1 to 4294967295'],
  },
  {
    when: 'a route stands twice',
    text: edited(oneRouter, [
      '      - { to: default, via: 203.0.113.1, interface: ext0 }\n',
      '      - { to: default, via: 203.0.113.1, interface: ext0 }\n      - { to: 0.0.0.0/0, via: 203.0.113.2 }\n',
    ]),
    says: [
      'agent.yaml:17:9 routers[0].virtualRoutes[1]: is a second route to 0.0.0.0/0 metric unset, must differ from routers[0].virtualRoutes[0] on line 16 in to or metric',
    ],
  },
  {
    when: 'two routers have one id',
    text: edited(twoRouters, ['id: r2', 'id: r1']),
    says: ['agent.yaml:17:9 routers[1].id: is "r1", must differ from routers[0].id on line 4'],
  },
  {
    when: 'two routers have one vrid on one bridge',
    text: edited(twoRouters, ['vrid: 8', 'vrid: 7']),
    says: [
      'agent.yaml:18:11 routers[1].vrid: is 7, must differ from routers[0].vrid on line 5: both routers have bridge br-ha as their HA link',
    ],
  },
  {
    when: 'two routers have one namespace',
    text: edited(twoRouters, ['vrid: 8', 'vrid: 8\n    namespace: keepward-r1']),
    says: [
      'agent.yaml:19:16 routers[1].namespace: is "keepward-r1", must differ from the default of routers[0].namespace: a namespace has one router',
    ],
  },
  {
    when: 'two routers have one virtual address',
    text: edited(twoRouters, ['203.0.113.20/24', '203.0.113.10/24']),
    says: [
      'agent.yaml:26:20 routers[1].virtualAddresses[0].address: is 203.0.113.10, must differ from routers[0].virtualAddresses[0].address on line 14: both are on macvlan parent eth1',
    ],
  },
  {
    when: 'two routers have one virtual address on different links',
    text: edited(
      twoRouters,
      ['203.0.113.20/24', '203.0.113.10/24'],
      [
        '      - { name: ext0, attach: { macvlan: eth1 } }\n    virtualAddresses:\n      - { address: 203.0.113.10/24, interface: ext0 }\n',
        '      - { name: ext0, attach: { macvlan: eth2 } }\n    virtualAddresses:\n      - { address: 203.0.113.10/24, interface: ext0 }\n',
        'last',
      ],
    ),
    says: [
      'agent.yaml:26:20 routers[1].virtualAddresses[0].address: is 203.0.113.10, must differ from routers[0].virtualAddresses[0].address on line 14: uniqueAddresses is not false for both',
    ],
  },
  {
    when: 'two routers have one own address',
    text: edited(twoRouters, ['169.254.192.11, ', '169.254.192.1, '], ['169.254.192.11/18', '169.254.192.1/18']),
    says: [
      'agent.yaml:23:61 routers[1].interfaces[0].addresses[0]: is 169.254.192.1, must differ from routers[0].interfaces[0].addresses[0] on line 11: both are on bridge br-ha',
    ],
  },
  {
    when: 'two routers have one marker',
    text: edited(twoRouters, ['vrid: 8', 'vrid: 8\n    marker: 169.254.0.7/24']),
    says: [
      'agent.yaml:19:13 routers[1].marker: is 169.254.0.7, must differ from the default of routers[0].marker: both are on bridge br-ha',
    ],
  },
  {
    when: 'two routers have one vxlan',
    text: edited(
      twoRouters,
      ['macvlan: eth1', 'vxlan: { vni: 5, parent: eth0, remote: 239.1.1.1 }'],
      [
        '      - { name: ext0, attach: { macvlan: eth1 } }\n    virtualAddresses:\n      - { address: 203.0.113.20',
        '      - { name: ext0, attach: { vxlan: { vni: 5, parent: eth0, remote: 239.1.1.1 } } }\n    virtualAddresses:\n      - { address: 203.0.113.20',
      ],
    ),
    says: [
      'agent.yaml:24:47 routers[1].interfaces[1].attach.vxlan.vni: is 5, must differ from routers[0].interfaces[1].attach.vxlan.vni on line 12: both have port 4789, and a host has one such device',
    ],
  },
  {
    when: 'two interfaces have one hardware address',
    text: edited(
      twoRouters,
      ['{ macvlan: eth1 } }', `{ macvlan: eth1 }, macAddress: '02:00:00:00:00:0a' }`],
      ['{ macvlan: eth1 } }', `{ macvlan: eth1 }, macAddress: '02:00:00:00:00:0A' }`],
    ),
    says: [
      'agent.yaml:24:62 routers[1].interfaces[1].macAddress: is "02:00:00:00:00:0a", must differ from routers[0].interfaces[1].macAddress on line 12',
    ],
  },
  {
    when: 'a duration has no whole milliseconds',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    advertisementInterval: 10.5ms']),
    says: [
      'agent.yaml:6:28 routers[0].advertisementInterval: is "10.5ms", must be a duration from 10ms to 255s, such as 1s or 100ms',
    ],
  },
  {
    when: 'uniqueAddresses is a word',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 7\n    uniqueAddresses: no']),
    says: ['agent.yaml:6:22 routers[0].uniqueAddresses: is "no", must be true or false'],
  },
  {
    when: 'a private router meets one that is not',
    text: edited(
      twoRouters,
      ['203.0.113.20/24', '203.0.113.10/24'],
      ['vrid: 8', 'vrid: 8\n    uniqueAddresses: false'],
      [
        '      - { name: ext0, attach: { macvlan: eth1 } }\n    virtualAddresses:\n      - { address: 203.0.113.10/24, interface: ext0 }\n',
        '      - { name: ext0, attach: { macvlan: eth2 } }\n    virtualAddresses:\n      - { address: 203.0.113.10/24, interface: ext0 }\n',
        'last',
      ],
    ),
    says: [
      'agent.yaml:27:20 routers[1].virtualAddresses[0].address: is 203.0.113.10, must differ from routers[0].virtualAddresses[0].address on line 14: uniqueAddresses is not false for both',
    ],
  },
  {
    when: 'a route is wider than its family',
    text: edited(oneRouter, ['to: default', 'to: 2001:db8::/129']),
    says: [
      'agent.yaml:16:15 routers[0].virtualRoutes[0].to: is "2001:db8::/129", must be "default" or a network with its prefix length, such as 198.51.100.0/24 or 2001:db8::/32',
    ],
  },
  {
    when: `an IPv6 address is its subnet's anycast`,
    text: edited(oneRouter, ['203.0.113.10/24', `'2001:db8::/64'`]),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "2001:db8::/64", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is the subnet-router anycast address',
    ],
  },
  {
    when: 'an address has a leading zero',
    text: edited(oneRouter, ['203.0.113.10/24', '203.0.113.010/24']),
    says: [
      'agent.yaml:14:20 routers[0].virtualAddresses[0].address: is "203.0.113.010/24", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64',
    ],
  },
  {
    when: 'a router is a word',
    text: edited(oneRouter, ['  - id: r1', '  - r9\n  - id: r1']),
    says: ['agent.yaml:4:5 routers[0]: is "r9", must be a map with the keys id, vrid, ha and interfaces'],
  },
  {
    when: 'a router is empty',
    text: edited(oneRouter, ['  - id: r1', '  -\n  - id: r1']),
    says: ['agent.yaml:4:4 routers[0]: is empty, must be a map with the keys id, vrid, ha and interfaces'],
  },
  {
    when: 'a fault of the text meets one of a value',
    text: edited(oneRouter, ['vrid: 7', 'vrid: 300'], ['host-a', '@host-a']),
    says: [
      'agent.yaml:2:14 is not YAML that can be read: Plain value cannot start with reserved character @',
      'agent.yaml:5:11 routers[0].vrid: is 300, must be a whole number from 1 to 255',
    ],
  },
  {
    when: 'several things are wrong at once',
    text: edited(
      oneRouter,
      ['version: 1', 'version: 2'],
      ['vrid: 7', 'vrid: 300\n    vird: 7'],
      ['host-a', '&h host-a'],
      ['vrrpVersion: 3', 'vrrpVersion: 3\n    advertisementInterval: 15ms\n    namespace: *h'],
      ['name: ext0', 'name: ha0'],
      ['203.0.113.10/24', '203.0.113.0/24'],
    ),
    says: [
      'agent.yaml:1:10 version: is 2, must be 1',
      'agent.yaml:5:11 routers[0].vrid: is 300, must be a whole number from 1 to 255',
      'agent.yaml:6:5 routers[0]: unknown key `vird`; did you mean `vrid`?',
      'agent.yaml:8:28 routers[0].advertisementInterval: is 15ms, must be 10ms to 40.95s in steps of 10ms in VRRPv3',
      'agent.yaml:9:16 routers[0].namespace: is an alias, must be written out',
      'agent.yaml:15:17 routers[0].interfaces[1].name: is "ha0", must differ from routers[0].interfaces[0].name on line 14',
      'agent.yaml:17:20 routers[0].virtualAddresses[0].address: is "203.0.113.0/24", must be a host address with its prefix length, such as 192.0.2.1/24 or 2001:db8::1/64; this is the network address',
      'agent.yaml:19:53 routers[0].virtualRoutes[0].interface: is "ext0", which the router does not declare, must be one of its interfaces: ha0, ha0',
    ],
  },
]

interface BrokenConfig {
  readonly when: string
  readonly text: string
  readonly says: readonly string[]
}

test.each([
  { when: 'one router', text: oneRouter },
  { when: 'two routers', text: twoRouters },
])('loadConfig() takes the unbroken file of $when', ({ text }) => {
  expect(() => loadConfig(text, 'agent.yaml', 'host-a')).not.toThrow()
})

test.each(brokenConfigs)('loadConfig() says what is and what is wanted when $when', ({ text, says }) => {
  expect(linesFor(text)).toEqual(says)
})

function linesFor(text: string): string[] {
  try {
    loadConfig(text, 'agent.yaml', 'host-a')
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    expect(error.code).toBe('config-invalid')
    return error.message.split('\n')
  }
}

type Edit = readonly [find: string, replace: string, which?: 'last']

/** Replaces the first (or last) place of each text; a text that is not there is a mistake of this table. */
function edited(text: string, ...edits: readonly Edit[]): string {
  return edits.reduce((before, [find, replace, which]) => {
    const at = which === 'last' ? before.lastIndexOf(find) : before.indexOf(find)
    if (at < 0) throw new Error(`the table looks for a text that is not there: ${find}`)
    return before.slice(0, at) + replace + before.slice(at + find.length)
  }, text)
}
