import { keysFileOf } from './trusted.ts'

const keys = keysFileOf('/etc/keepward/agent.yaml')

/** Whom the agent believes, for docs/config.md. */
export const trustText: readonly string[] = `
## Whom the agent believes

\`keepward host\` runs as root what the config says, so it believes a file that root alone can have written, and so does the agent: the file and each
directory on its way belong to root, are writable by nobody else and are no links (\`config-unsafe\`). It includes no other
file. A sticky directory such as /tmp may stand on the way. The journal has the SHA-256 of each config that was loaded or
refused, and who asked.

**Both read it**, so the agent's user must be able to: the file, \`agent.yaml.sig\` and \`config-signing.pub\` beside it where they are, \`vault.caFile\` where it
has the login \`vault.agent\`, and each directory on the way (\`chgrp keepward\` and 0640 suffice, 0755 for directories). The copy below gets the group of the
file and its mode. What routers name (secrets, rules, hooks) is read by \`keepward host\` alone.

A changed file is not what runs until somebody runs \`keepward apply\`, or sends SIGHUP. Within a second it is the condition
\`config-changed-on-disk\`, and so is a change of its signature or of the public keys; \`config.applyChanges\` applies it by itself.

**A restart is no \`apply\`.** What is applied is kept in \`agent.yaml.applied\` (with its signature) beside the file, and both processes start with that copy, after
a crash, an update or a reboot too: a file that was changed, or broken, is left where it is and shows. What only a start can take (\`agent\`,
\`paths\`, \`control\`, \`journal\`, \`audit\`, \`stateChange\`, \`vault\`, \`logging\`) is applied first, \`apply\` says whom to restart, and that start takes it.
Restart at once when \`paths.run\` or \`paths.host\` are among it: commands, and each process that starts, look at the new place from then on.
The copy is believed by the same rules as the file. A start takes the file itself

- when there is no copy: the first time, after \`keepward agent --teardown\`, or when somebody has removed it: \`rm agent.yaml.applied\` and a restart is the way
  out where an agent does not run with what was applied;
- when the copy says \`config.applyChanges: true\`, and the file is good;
- when the copy cannot be used, as when a newer version takes another format or it is not root’s alone: \`config-taken-at-start\` until the next
  \`apply\`. What was signed is not followed by what is not.

All but the first time is in the journal: \`config loaded\`, by \`start\`. Where the directory cannot be written there is no copy, and \`config-not-kept\`
says so; where only an older copy cannot be replaced, \`apply\` is refused (\`config-not-kept\`).

## Signatures

Who may write the file as root and who decides what stands in it can be two: a program distributes it, a person or a pipeline
makes it. The second signs (Ed25519), and the host refuses what the first has altered:

\`\`\`sh
# Once, not on a host:
keepward config keygen ~/keepward-keys
# Once on each host, by another way than the config comes:
install -m 644 ~/keepward-keys/config-signing.pub ${keys}
# After each change; writes agent.yaml.sig, which comes with it:
keepward -c agent.yaml config sign --key ~/keepward-keys/config-signing.key
\`\`\`

- **\`config-signing.pub\` beside the config asks for a signature by being there**, at the start of the agent and at each later
  load, whatever the config says. Its name is fixed: no config can name other keys.
- **\`config.requireSignature: true\` asks for that file**: without it the agent does not start, and takes over no config. So
  whoever alters the config cannot switch signatures off: while the setting was in force the keys were there, and they ask for
  a signature of a config without the setting too. A keys file that is broken or not root’s alone refuses every config.
- What runs once with a signature asks for one of each later file until the agent ends, even when the keys are removed.
- A config that is refused changes nothing: what runs goes on, with the condition \`config-not-applied\`. An agent that is
  *started* with such a config, and with no copy of another, does not run; its routers do, as keepalived does not need it.
- The signature is of the file’s bytes and is checked before they are parsed. \`keepward config verify\` asks the same anywhere.

To change keys, put old and new public keys into the file, sign with the new one, apply, then take the old one out. To go without
signatures, take \`requireSignature\` out of the config, sign and apply that, remove the keys, and start the agent anew.

What a signature does not say: that a file is the newest, or that it is for this host. Who can write the config as root can put
back an older file with its signature, or another host’s: \`config-changed-on-disk\` and the digest in the journal show it, and
keys that are taken out end what they signed. Nor does it say anything of the files that a config names (rules, hooks, commands, secrets,
\`vault.caFile\`): these belong to root, or to the user who reads a secret, are neither signed nor watched, and count as they are when they are read. Nor does it help against somebody who can write everything that root can, the
keys file included, or against one who has the private key: keep that where configs are made, never on a host.
`
  .trim()
  .split('\n')
