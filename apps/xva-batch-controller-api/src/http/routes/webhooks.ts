import { scalars } from '@xva/contracts';
import { z } from 'zod';
import type { WebhookService } from '../../service/webhooks.ts';
import { webhookEvents, type Delivery, type Webhook } from '../../webhooks/store.ts';
import { route, type ResponseDoc, type Route } from '../route.ts';
import { nothing } from './shared.ts';

const hookId = z.string().regex(/^[0-9a-f]{16}$/, 'must be the id of a webhook');
const deliveryId = z.string().regex(/^msg-[0-9a-f]{32}$/, 'must be the id of a delivery');
const webhookSchema = z.strictObject({
  id: hookId,
  url: z.string(),
  events: z.array(z.enum(webhookEvents)),
  desk: z.string().nullable(),
  /** Until then the secret before the last rotation signs too. */
  previousUntil: scalars.timestamp.nullable(),
  createdAt: scalars.timestamp,
  createdBy: z.string(),
  version: z.int(),
});
const withSecret = webhookSchema.extend({ secret: z.string() });
const deliverySchema = z.strictObject({
  id: deliveryId,
  webhookId: hookId,
  event: z.enum([...webhookEvents, 'ping']),
  runId: z.string().nullable(),
  state: z.enum(['pending', 'delivered', 'failed']),
  attempts: z.array(z.strictObject({ at: scalars.timestamp, status: z.int(), message: z.string() })),
  createdAt: scalars.timestamp,
  dueAt: scalars.timestamp,
});

function viewOf({ generation: _generation, ...view }: Webhook): z.input<typeof webhookSchema> {
  return { ...view, events: [...view.events] };
}

function deliveryView({ body: _body, ...view }: Delivery): z.input<typeof deliverySchema> {
  return { ...view, attempts: view.attempts.map((attempt) => ({ ...attempt })) };
}

const example = {
  id: '0123456789abcdef',
  url: 'https://risk.example.com/xva',
  events: ['run.done', 'run.failed'],
  desk: 'rates',
  previousUntil: null,
  createdAt: '2026-09-30T18:00:00Z',
  createdBy: 'key:abcdef012345',
  version: 1,
};
const hook: ResponseDoc = {
  description: 'the webhook',
  schema: { name: 'Webhook', schema: webhookSchema, example },
  headers: { etag: 'its version, for If-Match' },
};
const secret: ResponseDoc = {
  description: 'the webhook and its secret, which is shown now only',
  schema: { name: 'WebhookWithSecret', schema: withSecret, example: { ...example, secret: 'whsec_…' } },
  headers: { etag: 'its version, for If-Match' },
};
const params = z.strictObject({ webhookId: hookId.meta({ example: example.id }) });
const deliveryParams = params.extend({ deliveryId: deliveryId.meta({ example: `msg-${'0'.repeat(32)}` }) });
const noSuch = { 404: { description: 'no such webhook, or one of another desk' } };
const off = { 409: { description: 'webhooks are switched off, or it changed meanwhile' } };
const ifMatch = { 'if-match': 'the version that was read' };
const changed = { 412: { description: 'it has changed since it was read' } };
const etagOf = ({ version }: Webhook): { etag: string } => ({ etag: `"${version}"` });
const markOf = ({ url, version }: Webhook): string => `${url} v${version}`;

/** Telling another system when a run is over. */
export function webhookRoutes(webhooks: WebhookService): readonly Route[] {
  const common = { tag: 'webhooks', role: 'operator', query: nothing } as const;
  return [
    route({
      ...common,
      operationId: 'createWebhook',
      method: 'post',
      changes: true,
      path: '/v1/webhooks',
      summary: 'Have messages sent to an address, signed as Standard Webhooks 1.0 (HMAC-SHA256, with a timestamp).',
      description:
        'Only https, and no private, loopback, link-local or reserved address, also not by its name or through a redirect. A message is sent again with growing waits until it is answered with 2xx; `webhook-id` stays the same.',
      params: nothing,
      body: {
        name: 'NewWebhook',
        schema: z.strictObject({
          url: z.string().min(1).max(1_000),
          events: z.array(z.enum(webhookEvents)).min(1).max(10),
        }),
        example: { url: example.url, events: ['run.done', 'run.failed'] },
      },
      responses: { 201: secret, ...off, 422: { description: 'nothing may be sent to this address' } },
      subject: (_params, { url }) => `webhook to ${url.slice(0, 200)}`,
      handle: async ({ body, principal }) => {
        const { hook: made, secret: shown } = await webhooks.create(body, principal);
        const change = { subject: `webhook ${made.id}`, before: null, after: markOf(made) };
        const headers = { ...etagOf(made), location: `/v1/webhooks/${made.id}`, 'cache-control': 'no-store' };
        return { status: 201, body: { ...viewOf(made), secret: shown }, headers, change };
      },
    }),
    route({
      ...common,
      operationId: 'listWebhooks',
      method: 'get',
      path: '/v1/webhooks',
      summary: 'The webhooks that the caller can see.',
      params: nothing,
      responses: {
        200: {
          description: 'webhooks',
          schema: {
            name: 'Webhooks',
            schema: z.strictObject({ items: z.array(webhookSchema) }),
            example: { items: [example] },
          },
        },
      },
      handle: async ({ principal }) => ({
        status: 200,
        body: { items: (await webhooks.list(principal)).map(viewOf) },
      }),
    }),
    route({
      ...common,
      operationId: 'getWebhook',
      method: 'get',
      path: '/v1/webhooks/{webhookId}',
      summary: 'One webhook.',
      params,
      responses: { 200: hook, ...noSuch },
      handle: async ({ params: { webhookId }, principal }) => {
        const { value } = await webhooks.get(webhookId, principal);
        return { status: 200, body: viewOf(value), headers: etagOf(value) };
      },
    }),
    route({
      ...common,
      operationId: 'deleteWebhook',
      method: 'delete',
      changes: true,
      path: '/v1/webhooks/{webhookId}',
      summary: 'Send nothing more to it.',
      params,
      headers: ifMatch,
      responses: { 204: { description: 'it is gone' }, ...noSuch, ...off, ...changed },
      subject: ({ webhookId }) => `webhook ${webhookId}`,
      handle: async ({ params: { webhookId }, principal, header }) => {
        const gone = await webhooks.remove(webhookId, principal, header('if-match'));
        return { status: 204, change: { subject: `webhook ${webhookId}`, before: markOf(gone), after: null } };
      },
    }),
    route({
      ...common,
      operationId: 'rotateWebhookSecret',
      method: 'post',
      changes: true,
      path: '/v1/webhooks/{webhookId}/rotate',
      summary: 'A new secret; the one before it signs too for `overlapHours`.',
      params,
      headers: ifMatch,
      body: {
        name: 'Rotation',
        schema: z.strictObject({ overlapHours: z.int().min(0).max(720) }),
        example: { overlapHours: 24 },
      },
      responses: { 200: secret, ...noSuch, ...off, ...changed },
      subject: ({ webhookId }) => `webhook ${webhookId} secret`,
      handle: async ({ params: { webhookId }, body, principal, header }) => {
        const expected = header('if-match');
        const {
          before,
          hook: made,
          secret: shown,
        } = await webhooks.rotate(webhookId, body.overlapHours, principal, expected);
        const change = { subject: `webhook ${webhookId} secret`, before: markOf(before), after: markOf(made) };
        const headers = { ...etagOf(made), 'cache-control': 'no-store' };
        return { status: 200, body: { ...viewOf(made), secret: shown }, headers, change };
      },
    }),
    route({
      ...common,
      operationId: 'pingWebhook',
      method: 'post',
      changes: true,
      path: '/v1/webhooks/{webhookId}/ping',
      summary: 'Send a message that says nothing but that it arrives.',
      params,
      responses: {
        202: { description: 'it is on its way', schema: { name: 'Delivery', schema: deliverySchema } },
        ...noSuch,
        ...off,
      },
      subject: ({ webhookId }) => `webhook ${webhookId} ping`,
      handle: async ({ params: { webhookId }, principal }) => {
        const delivery = await webhooks.ping(webhookId, principal);
        const change = { subject: `webhook ${webhookId} ping`, before: null, after: delivery.id };
        return { status: 202, body: deliveryView(delivery), change };
      },
    }),
    route({
      ...common,
      operationId: 'listDeliveries',
      method: 'get',
      path: '/v1/webhooks/{webhookId}/deliveries',
      summary: 'The newest messages to a webhook, each with every try.',
      params,
      responses: {
        200: {
          description: 'deliveries, newest first',
          schema: { name: 'Deliveries', schema: z.strictObject({ items: z.array(deliverySchema) }) },
        },
        ...noSuch,
      },
      handle: async ({ params: { webhookId }, principal }) => ({
        status: 200,
        body: { items: (await webhooks.deliveries(webhookId, principal)).map(deliveryView) },
      }),
    }),
    route({
      ...common,
      operationId: 'redeliver',
      method: 'post',
      changes: true,
      path: '/v1/webhooks/{webhookId}/deliveries/{deliveryId}/redeliver',
      summary: 'Send a message again that was delivered or given up, under the same id.',
      params: deliveryParams,
      responses: {
        202: { description: 'it is on its way', schema: { name: 'Delivery', schema: deliverySchema } },
        ...noSuch,
        ...off,
      },
      subject: ({ webhookId, deliveryId: id }) => `webhook ${webhookId} delivery ${id}`,
      handle: async ({ params: { webhookId, deliveryId: id }, principal }) => {
        const { before, after } = await webhooks.redeliver(webhookId, id, principal);
        const change = { subject: `webhook ${webhookId} delivery ${id}`, before: before.state, after: after.state };
        return { status: 202, body: deliveryView(after), change };
      },
    }),
  ];
}
