import { checkToken, type Grants } from '../auth/sas.ts';
import { typed } from './rhea.ts';
import type { RequestMessage } from './rhea-shapes.ts';
import type { Service } from './service.ts';

/** An answer to a request: status as in HTTP, and a body for `$management`. */
export interface Reply {
  readonly status: number;
  readonly description: string;
  readonly condition?: string;
  readonly body?: unknown;
}

const sasTokenType = 'servicebus.windows.net:sastoken';

/** `put-token` on `$cbs` (AMQP claims-based security, as the service speaks it): verifies the token and remembers it. */
export function putToken(request: RequestMessage, service: Service, grants: Grants): Reply {
  const properties = request.application_properties ?? {};
  const operation = String(properties['operation']);
  if (operation !== 'put-token') return { status: 400, description: `no operation '${operation}' on $cbs` };
  const type = String(properties['type']);
  if (type !== sasTokenType) return { status: 401, description: `tokens of type '${type}' are not served: only SAS` };
  const audience = String(properties['name']);
  const check = checkToken(String(request.body), audience, service.policies, service.now());
  if (check.outcome === 'refused') {
    return { status: 401, description: `InvalidSignature: ${check.reason} (audience ${audience})` };
  }
  grants.add(check.grant);
  return { status: 202, description: 'Accepted' };
}

/** The message that carries a reply; statuses are AMQP ints, which the clients require. */
export function replyMessage(request: RequestMessage, reply: Reply): Readonly<Record<string, unknown>> {
  return {
    correlation_id: request.message_id,
    application_properties: {
      'status-code': typed.int(reply.status),
      'status-description': reply.description,
      ...(reply.condition === undefined ? {} : { 'error-condition': typed.symbol(reply.condition) }),
    },
    body: reply.body ?? null,
  };
}
