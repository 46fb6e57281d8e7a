import { Argument, Command, CommanderError, Option } from 'commander'
import { versionText } from '../base/version.ts'
import { ExitStatus } from './exit-status.ts'
import { failedWith } from './failure.ts'
import type { Globals } from './globals.ts'
import { shells } from './shells.ts'

/** Runs a command; its number is the exit status. */
type Run = (globals: Globals, options: Record<string, unknown>, ...words: string[]) => Promise<number>

/** Run `keepward` with these words; resolves with the exit status. */
export async function main(words: readonly string[]): Promise<number> {
  let status = 0
  const program = await buildProgram((ended) => {
    status = ended
  })
  try {
    await program.parseAsync([...words], { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ExitStatus.usage
    return failedWith(error)
  }
}

/** The tree of commands, which completion and documentation are made of too; `ended` is given the exit status. */
export async function buildProgram(ended: (status: number) => void): Promise<Command> {
  const program = new Command('keepward')
    .description('Runs highly available routers with keepalived, and always knows who is primary.')
    .version(versionText, '-V, --version')
    .option('-c, --config <file>', 'the agent’s config file', '/etc/keepward/agent.yaml')
    .option('--socket <path>', 'control socket of the agent (default: the one that the config applied last names)')
    .option('--json', 'print JSON', false)
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText('after', '\nExit status of `status`: 0 healthy, 1 degraded, 2 critical, 3 unknown.')

  /** Loads a command that works in the agent's state directory. */
  const inState = async (load: Promise<Run>): Promise<Run> => {
    const [run, { withNamedState }] = await Promise.all([load, import('./named-config.ts')])
    return async (globals, options, ...words) => run(globals, await withNamedState(program, globals, options), ...words)
  }

  const command = (name: string, what: string, load: () => Promise<Run>, parent = program): Command =>
    parent
      .command(name)
      .description(what)
      .action(async (...given: unknown[]) => {
        // commander hands over the words, several for one argument as a list, then the options, then the command.
        const options = (given.at(-1) as Command).optsWithGlobals()
        const positional = given
          .slice(0, -2)
          .flat()
          .filter((word) => typeof word === 'string')
        const run = await load()
        ended(await run(program.opts<Globals>(), options, ...positional))
      })

  command('agent', 'run the agent in the foreground', async () => (await import('./agent.ts')).agent).option(
    '--teardown',
    'remove everything that the agent made, and end',
    false,
  )
  command(
    'host',
    'do for an agent of another user what needs root, in the foreground',
    async () => (await import('./host.ts')).host,
  )
  command(
    'validate',
    'check the config file and print every problem',
    async () => (await import('./validate.ts')).validate,
  )
  command('plan', 'show what applying the config file would do', async () => (await import('./plan.ts')).showPlan)
  command('apply', 'make the agent take over its config file', async () => (await import('./apply.ts')).apply)
  const config = program.command('config').description('sign the config file, and verify its signature')
  command('keygen <dir>', 'make a key pair', async () => (await import('./config.ts')).keygen, config)
  command('sign', 'sign the config file', async () => (await import('./config.ts')).sign, config).requiredOption(
    '--key <file>',
    'the private key',
  )
  command('verify', 'check its signature', async () => (await import('./config.ts')).verify, config).option(
    '--public-key <file>',
    'the public keys (default: config-signing.pub beside the config)',
  )
  command('status', 'show every router: role, since when, as of when', async () => (await import('./status.ts')).status)
  command('watch', 'show the status, live', async () => (await import('./watch.ts')).watch)
  command('events', 'print the journal', async () => (await import('./events.ts')).events)
    .option('-f, --follow', 'go on with what happens', false)
    .option('--since <when>', 'from a sequence, a duration ago (10m) or a time on')
    .option('--router <id>', 'of one router only')
    .option('--limit <n>', 'at most so many', '100')
    .option('--verify', 'walk the hash chain and say whether it is whole', false)
    .option('--file <path>', 'with --verify: a journal file, without an agent')
  const audit = command(
    'audit',
    'prove the journal by the anchors that root signed, or export it',
    async () => (await import('./audit.ts')).audit,
  )
    .option('--verify', 'walk the journal, hold it against the anchors, and say how far it is proven', false)
    .option('--export', 'print all records as JSON lines', false)
    .option('--file <path>', 'a journal file, without an agent')
    .option('--anchors <file>', 'with --verify: the anchors (default: those of the journal in paths.anchors)')
    .option('--router-ids <form>', 'with --export: plain or pseudonym (default: as logging.routerIds says)')
    .option('--key-file <file>', 'the key of the pseudonyms (default: the one in the state directory)')
  command(
    'resolve <pseudonym...>',
    'tell which routers the pseudonyms of logs and exports stand for',
    async () => (await import('./audit-resolve.ts')).resolve,
    audit,
  )
  command(
    'explain <router>',
    'show the evidence behind a router’s role',
    async () => (await import('./explain.ts')).explain,
  )
  command(
    'doctor',
    'check this host: kernel, capabilities, keepalived, clock',
    async () => (await import('./doctor.ts')).doctor,
  ).option('--security', 'list the settings that weaken this host instead', false)
  command('notify <router>', 'tell the agent’s state-change socket what a router has become', () =>
    inState(import('./notify.ts').then(({ notify }) => notify)),
  )
    .addArgument(
      // For help and completion; keepalived's words are taken as well.
      new Argument('<state>', 'its state')
        .choices(['primary', 'backup', 'fault', 'unknown'])
        .argParser((word: string) => word),
    )
    .option(
      '--state <dir>',
      'the agent’s state directory (default: that of the file named with -c, else /var/lib/keepward)',
    )
    .option('--key-file <file>', 'the key that signs (default: the router’s, in the state directory)')
    .option('--key-id <id>', 'the name of that key (default: the router’s id)')
    .option('--interval <seconds>', 'how often this sender says it again')
    .option('--deadline <seconds>', 'how long to try, at most 55 (default: 30)')
  command('notify-key <router>', 'print the key with which a sender that is not root speaks for one router', () =>
    inState(import('./notify.ts').then(({ notifyKey }) => notifyKey)),
  ).option(
    '--state <dir>',
    'the agent’s state directory (default: that of the file named with -c, else /var/lib/keepward)',
  )
  const secrets = program.command('secrets').description('make secrets, and replace them')
  command(
    'new',
    'print a new secret for hosts that share it',
    async () => (await import('./secrets.ts')).newSecret,
    secrets,
  ).addOption(
    new Option(
      '--for <use>',
      'pass: a VRRP password; hmac: a key that signs adverts; sender: a key of stateChange.senders; nkey: a seed for NATS; webhook: a key that signs requests',
    )
      .choices(['pass', 'hmac', 'sender', 'nkey', 'webhook'])
      .default('pass'),
  )
  command(
    'rotate <what>',
    'replace the keys of notifiers (notifiers), or say how to replace the secret of a router (its id)',
    async () => (await import('./secrets.ts')).rotate,
    secrets,
  )
    .option('--grace <seconds>', 'notifiers: how long the key before is honoured', '600')
    .option('--accept-role-change', 'a router with a password: have both hosts be primary in between', false)
  const nats = program.command('nats').description('make ready what agents report to over NATS JetStream')
  /** Of those that speak to a server. */
  const withServer = (one: Command) =>
    one
      .option('--server <url...>', 'tls://host:port of a server, or of each of a cluster; may be repeated')
      .option('--ca <file>', 'CA certificates that the server must be signed by (default: those of the system)')
      .option('--nkey <file>', 'the seed of the operator’s NKey')
      .option('--creds <file>', 'the operator’s credentials, instead of an NKey')
      .option('--cert <file>', 'a client certificate')
      .option('--key <file>', 'its key')
      .option('--plaintext', 'take nats:// too, which is not encrypted', false)
  const setup = command(
    'setup',
    'make the streams and buckets that agents report to, or bring them to the layout of this version',
    async () => (await import('./nats.ts')).setup,
    nats,
  )
  withServer(setup).addOption(
    new Option(
      '--replicas <n>',
      'on how many servers each stream is kept (default: 3 in a cluster, 1 elsewhere)',
    ).choices(['1', '3']),
  )
  withServer(
    command(
      'forget <agent>',
      'remove the states of an agent that is gone for good',
      async () => (await import('./nats.ts')).forget,
      nats,
    ),
  )
  command(
    'public <file>',
    'print the public NKey of the seed in a file',
    async () => (await import('./nats.ts')).publicKey,
    nats,
  )
  command(
    'permissions <agent>',
    'print the account and user of one agent for the config of nats-server, with no right but those that it needs',
    async () => (await import('./nats.ts')).permissions,
    nats,
  ).option('--nkey <public>', 'the public NKey of that agent')
  command('completion', 'print shell completion for bash, zsh or fish', async () => {
    const { completion } = await import('./completion.ts')
    return (_globals, _options, shell = '') => Promise.resolve(completion(program, shell))
  }).addArgument(new Argument('<shell>', 'the shell').choices(shells))
  const lab = (await import('./lab.ts')).labCommand(ended, () => program.opts<Globals>().json)
  // What program.command() does by itself: without it, a wrong word would end the process with commander's own status.
  for (const one of [lab, ...lab.commands]) one.copyInheritedSettings(program)
  return program.addCommand(lab)
}
