import type { LogService } from '../../service/logs.ts';
import type { PoolService } from '../../service/pools.ts';
import type { ResultService } from '../../service/results.ts';
import type { WebhookService } from '../../service/webhooks.ts';
import type { Route } from '../route.ts';
import { eventRoutes, type EventRouteDeps } from './events.ts';
import { logRoutes } from './logs.ts';
import { poolRoutes } from './pools.ts';
import { resultRoutes } from './results.ts';
import { runRoutes } from './runs.ts';
import { webhookRoutes } from './webhooks.ts';

export interface RouteDeps extends EventRouteDeps {
  readonly results: ResultService;
  readonly logs: LogService;
  readonly pools: PoolService;
  readonly webhooks: WebhookService;
}

/** Every row of the API. */
export function routesOf(deps: RouteDeps): readonly Route[] {
  return [
    ...runRoutes(deps.runs),
    ...eventRoutes(deps),
    ...logRoutes(deps.logs),
    ...resultRoutes(deps.results),
    ...poolRoutes(deps.pools),
    ...webhookRoutes(deps.webhooks),
  ];
}
