import { parseContract } from '@xva/contracts';
import { cliExitCodes, CliError, printable, type Verb } from '@xva/runtime';
import { z } from 'zod';
import type { configSchema } from '../config.ts';
import { webhookEvents } from '../webhooks/store.ts';
import { ask, askJson, integerOption, tableText, textOption, unknownVerb } from './ask.ts';

const known = ['list', 'create', 'delete', 'rotate', 'ping', 'deliveries', 'redeliver'] as const;
const hookSchema = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  desk: z.string().nullable(),
});
const deliverySchema = z.object({
  id: z.string(),
  event: z.string(),
  runId: z.string().nullable(),
  state: z.string(),
  attempts: z.array(z.object({ at: z.string(), status: z.int(), message: z.string() })),
  createdAt: z.string(),
});
const secretSchema = z.object({ id: z.string(), secret: z.string() });

export const webhooksVerb: Verb<typeof configSchema> = {
  name: 'webhooks',
  description: 'ask a running controller about webhooks: who is told of what, and how it went',
  args: [
    { name: '<what>', description: known.join(', ') },
    { name: '[urlOrId]', description: 'create: the address; all others but list: the webhook' },
  ],
  options: [
    { flags: '--events <events>', description: `create: some of ${webhookEvents.join(', ')}` },
    { flags: '--overlap-hours <hours>', description: 'rotate: how long the old secret signs too', default: '24' },
    { flags: '--delivery <id>', description: 'redeliver: which' },
  ],
  run: async (context, [what, subject = ''], options) => {
    if (!known.some((one) => one === what)) throw unknownVerb('webhooks', what, known);
    if (what === 'list') {
      const answer = await askJson(context, '/v1/webhooks');
      const { items } = parseContract(z.object({ items: z.array(hookSchema) }), answer, 'webhooks');
      const rows = items.map(({ id, url, events, desk }) => [id, printable(url), events.join(' '), desk ?? 'all']);
      context.output(items, tableText(['ID', 'URL', 'EVENTS', 'DESK'], rows));
      return;
    }
    if (subject === '') throw new CliError(`webhooks ${what ?? ''} needs an address or id`, cliExitCodes.usage);
    const path = `/v1/webhooks/${encodeURIComponent(subject)}`;
    if (what === 'create' || what === 'rotate') {
      const events = (textOption(options, 'events') ?? 'run.done,run.failed,run.cancelled').split(',');
      const overlapHours = integerOption(options, 'overlapHours', 0, 720) ?? 24;
      const answer =
        what === 'create'
          ? await askJson(context, '/v1/webhooks', { method: 'POST', body: { url: subject, events } })
          : await askJson(context, `${path}/rotate`, { method: 'POST', body: { overlapHours } });
      const { id, secret } = parseContract(secretSchema, answer, 'webhook');
      context.output(answer, `${id}  ${secret}`);
    } else if (what === 'delete') {
      await ask(context, path, { method: 'DELETE' });
      context.output({ deleted: subject }, `webhook ${subject} is deleted`);
    } else if (what === 'deliveries') {
      const answer = await askJson(context, `${path}/deliveries`);
      const { items } = parseContract(z.object({ items: z.array(deliverySchema) }), answer, 'deliveries');
      const rows = items.map((one) => [
        ...[one.id, one.createdAt, one.event, one.runId ?? '', one.state, String(one.attempts.length)],
        printable(one.attempts.at(-1)?.message ?? ''),
      ]);
      context.output(items, tableText(['ID', 'AT', 'EVENT', 'RUN', 'STATE', 'TRIES', 'LAST'], rows));
    } else {
      const delivery = textOption(options, 'delivery');
      if (what === 'redeliver' && delivery === undefined)
        throw new CliError('webhooks redeliver needs --delivery', cliExitCodes.usage);
      const target =
        what === 'ping' ? `${path}/ping` : `${path}/deliveries/${encodeURIComponent(delivery ?? '')}/redeliver`;
      const answer = await askJson(context, target, { method: 'POST' });
      const { id } = parseContract(deliverySchema, answer, 'delivery');
      context.output(answer, `delivery ${id} is on its way`);
    }
  },
};
