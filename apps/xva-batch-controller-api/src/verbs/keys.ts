import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { cliExitCodes, CliError, systemClock, type Verb } from '@xva/runtime';
import type { AuditLog } from '../audit/audit-log.ts';
import { KeyError, stateOf, type KeyFacts, type KeyRing } from '../auth/key-ring.ts';
import { roles, sights } from '../auth/principal.ts';
import { compose } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { integerOption, tableText, textOption, unknownVerb, type Context, type Options } from './ask.ts';

const known = ['create', 'list', 'revoke', 'rotate'] as const;
const namePattern = /^[A-Za-z0-9_.@-]{1,64}$/;

/** What may be shown of a key. */
function shown({ sha256: _sha256, ...facts }: KeyFacts): object {
  return { ...facts, state: stateOf({ sha256: _sha256, ...facts }, systemClock.now()) };
}

async function list(context: Context, keys: KeyRing): Promise<void> {
  const all: KeyFacts[] = [];
  for await (const facts of keys.list()) all.push(facts);
  const rows = all.map((facts) => [
    ...[facts.id, facts.name, facts.role, facts.desk, facts.sees],
    ...[stateOf(facts, systemClock.now()), facts.expiresAt, facts.rotatedFrom ?? ''],
  ]);
  const heads = ['ID', 'NAME', 'ROLE', 'DESK', 'SEES', 'STATE', 'UNTIL', 'FOLLOWS'];
  context.output(all.map(shown), tableText(heads, rows));
}

interface Change {
  readonly facts: KeyFacts;
  readonly before: string | null;
  readonly after: string;
  readonly key?: string;
  readonly old?: KeyFacts;
}

async function create(keys: KeyRing, name: string, options: Options, by: string): Promise<Change> {
  const role = roles.find((one) => one === textOption(options, 'role'));
  const sees = sights.find((one) => one === textOption(options, 'sees'));
  const desk = textOption(options, 'desk') ?? name;
  if (!namePattern.test(name) || !namePattern.test(desk))
    throw new CliError('name and desk take 1 to 64 of A-Z a-z 0-9 _ . @ -', cliExitCodes.usage);
  if (role === undefined || sees === undefined)
    throw new CliError(`--role takes ${roles.join(', ')}; --sees takes ${sights.join(', ')}`, cliExitCodes.usage);
  const days = integerOption(options, 'days', 1, 3650) ?? 365;
  const { key, facts } = await keys.create({ name, role, desk, sees, createdBy: by, days });
  return { facts, key, before: null, after: `${role} of ${desk} until ${facts.expiresAt}` };
}

async function change(keys: KeyRing, what: string, subject: string, options: Options, by: string): Promise<Change> {
  if (what === 'create') return create(keys, subject, options, by);
  if (what === 'revoke') {
    const facts = await keys.revoke(subject);
    return { facts, before: 'valid', after: `revoked ${facts.revokedAt ?? ''}` };
  }
  const overlapHours = integerOption(options, 'overlapHours', 0, 720) ?? 24;
  const days = integerOption(options, 'days', 1, 3650) ?? 365;
  const { key, facts, old } = await keys.rotate(subject, { days, overlapHours, by });
  return { facts, key, old, before: subject, after: `${facts.id}, the old one until ${old.expiresAt}` };
}

/** As over HTTP: a line before the act and one after it. */
async function audited(
  audit: AuditLog,
  what: string,
  subject: string,
  by: string,
  act: () => Promise<Change>,
): Promise<Change> {
  const start = {
    ...{ requestId: randomUUID(), principal: by, name: by, role: 'admin', desk: '' },
    ...{ operation: `keys ${what}`, subject: `key ${subject}`, before: null, after: null, code: '' },
  };
  await audit.append({ ...start, result: 'asked', status: 0 });
  try {
    const done = await act();
    const { before, after, facts } = done;
    await audit.append({ ...start, subject: `key ${facts.id}`, before, after, result: 'done', status: 0 });
    return done;
  } catch (error) {
    const refused = error instanceof KeyError ? new CliError(error.message, cliExitCodes.refused) : error;
    const status = refused instanceof CliError ? refused.exitCode : cliExitCodes.failed;
    await audit.append({ ...start, result: refused instanceof CliError ? 'refused' : 'failed', status });
    throw refused;
  }
}

/** Keys live in the ledger as hashes; the key itself is printed once. Whoever may write the ledger may make keys. */
export const keysVerb: Verb<typeof configSchema> = {
  name: 'keys',
  description: 'API keys in the ledger: create (prints the key once), list, revoke, rotate',
  args: [
    { name: '<what>', description: known.join(', ') },
    { name: '[nameOrId]', description: "create: whose key; revoke, rotate: the key's id" },
  ],
  options: [
    { flags: '--role <role>', description: `create: one of ${roles.join(', ')}`, default: 'reader' },
    { flags: '--desk <desk>', description: 'create: whose share of the pool its runs use; absent = the name' },
    {
      flags: '--sees <sees>',
      description: `create: runs of its own desk, or all: ${sights.join(', ')}`,
      default: 'own',
    },
    { flags: '--days <days>', description: 'create, rotate: how long it is valid', default: '365' },
    { flags: '--overlap-hours <hours>', description: 'rotate: how long the old key stays valid', default: '24' },
  ],
  run: async (context, [what = '', subject = ''], options) => {
    if (!known.some((one) => one === what)) throw unknownVerb('keys', what, known);
    const { keys, audit, prepareLedger, close } = compose(context.config, context.logger);
    try {
      await prepareLedger();
      if (what === 'list') return await list(context, keys);
      if (subject === '')
        throw new CliError(what === 'create' ? 'give a name' : 'give the id of a key (keys list)', cliExitCodes.usage);
      const by = `cli:${userInfo().username}`;
      const { facts, key, old } = await audited(audit, what, subject, by, () =>
        change(keys, what, subject, options, by),
      );
      const result = {
        ...shown(facts),
        ...(key === undefined ? {} : { key }),
        ...(old === undefined ? {} : { old: shown(old) }),
      };
      context.output(result, key ?? `key ${facts.id} of ${facts.name} is revoked`);
    } finally {
      close();
    }
  },
};
