import { randomBytes } from 'node:crypto';
import { sha256Hex } from '@xva/contracts';
import { cliExitCodes, CliError, systemClock, type Verb } from '@xva/runtime';
import { compose } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { keyPartition, roles } from '../http/auth.ts';

/** Keys live in the ledger as hashes; the key itself is printed once. */
export const keysVerb: Verb<typeof configSchema> = {
  name: 'keys',
  description: 'API keys in the ledger: create (prints the key once), list, revoke',
  args: [
    { name: '<what>', description: 'create, list or revoke' },
    { name: '[name]', description: 'whose key, for create and revoke' },
  ],
  options: [
    { flags: '--role <role>', description: `one of ${roles.join(', ')}`, default: 'reader' },
    { flags: '--days <days>', description: 'create: how long it is valid', default: '365' },
  ],
  run: async (context, [what, name = ''], options) => {
    const { keys, close } = compose(context.config, context.logger);
    try {
      await keys.ensure();
      if (what === 'list') {
        for await (const { properties } of keys.query()) {
          const { name: owner, role, expiresAt } = properties;
          context.outputLine(
            { name: owner, role, expiresAt },
            `${String(owner)}  ${String(role)}  until ${String(expiresAt)}`,
          );
        }
        return;
      }
      if (name === '') throw new CliError('give a name', cliExitCodes.usage);
      if (what === 'create') {
        const role = roles.find((one) => one === options['role']);
        const days = Number(options['days']);
        if (role === undefined || !(days > 0 && days <= 3650))
          throw new CliError('give a known role and 1 to 3650 days', cliExitCodes.usage);
        const key = randomBytes(32).toString('base64url');
        const expiresAt = new Date(systemClock.now().getTime() + days * 86_400_000).toISOString();
        await keys.insert({
          partitionKey: keyPartition,
          rowKey: sha256Hex(key),
          properties: { name, role, expiresAt },
        });
        context.output({ name, role, expiresAt, key }, key);
      } else if (what === 'revoke') {
        let revoked = 0;
        for await (const row of keys.query()) {
          if (row.properties['name'] !== name) continue;
          await keys.delete(row.partitionKey, row.rowKey);
          revoked += 1;
        }
        context.output({ name, revoked }, `${revoked} keys of ${name} revoked`);
        if (revoked === 0) throw new CliError(`${name} has no key`, cliExitCodes.refused);
      } else throw new CliError(`keys ${what ?? ''} is not known`, cliExitCodes.usage);
    } finally {
      close();
    }
  },
};
