import { describeError, retry, systemClock, type Lifecycle, type Verb, type VerbContext } from '@xva/runtime';
import { compose, type Composition } from '../compose.ts';
import type { configSchema } from '../config.ts';
import { openApiOf } from '../http/openapi.ts';
import { listenHttp } from '../http/listen.ts';
import { Prepared } from '../http/prepared.ts';
import { buildHttp } from '../http/server.ts';

export const version = '0.1.0';

type ControllerVerb = Verb<typeof configSchema>;
type Context = VerbContext<typeof configSchema>;

/** Storage may start after us: the API answers (not ready) while its tables are waited for. */
async function prepareWithPatience(composition: Composition, context: Context, lifecycle: Lifecycle): Promise<void> {
  await retry(() => composition.prepare(), {
    policy: {
      maxAttempts: Number.POSITIVE_INFINITY,
      baseDelayMs: 200,
      maxDelayMs: 10_000,
      deadlineMs: Number.POSITIVE_INFINITY,
    },
    clock: systemClock,
    random: Math.random,
    judge: () => ({ retry: true }),
    signal: lifecycle.stopTaking,
    onRetry: (error, attempt, delayMs) =>
      context.logger.warn({ attempt, delayMs, error: describeError(error) }, 'tables and containers are not ready'),
  });
}

/** The test switch: ends the process at the named point as `kill -9` would. */
function crasher(name: string | undefined): ((point: string) => void) | undefined {
  if (name === undefined) return undefined;
  return (point) => {
    if (point === name) process.kill(process.pid, 'SIGKILL');
  };
}

export const runVerb: ControllerVerb = {
  name: 'run',
  description: 'serve the API and keep every open run moving',
  run: async (context) => {
    const { config, logger, lifecycle } = context;
    const composition = compose(config, logger, { crash: crasher(config.crashAt), stopping: lifecycle.stopTaking });
    const prepared = new Prepared();
    const app = buildHttp({
      ...composition,
      prepared,
      logger,
      stopping: lifecycle.stopTaking,
      bodyLimitBytes: config.bodyLimitBytes,
      rateLimitPerMinute: config.rateLimitPerMinute,
      addressLimitPerMinute: config.addressLimitPerMinute,
      corsOrigins: config.corsOrigins,
      version,
      onRequest: composition.metrics.requested,
    });
    const http = await listenHttp(app, {
      host: config.httpHost,
      port: config.httpPort,
      headersTimeoutMs: config.headersTimeoutMs,
      requestTimeoutMs: config.requestTimeoutMs,
      maxConnections: config.maxConnections,
    });
    // The door closes first: what is under way behind it still finds everything open.
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => (closing ??= http.close(lifecycle.stopWorking));
    lifecycle.stopTaking.addEventListener('abort', () => void close(), { once: true });
    try {
      context.output(
        { ready: true, name: 'xva-batch-controller-api', pid: process.pid, endpoints: { http: http.url } },
        JSON.stringify({
          ready: true,
          name: 'xva-batch-controller-api',
          pid: process.pid,
          endpoints: { http: http.url },
        }),
      );
      await prepareWithPatience(composition, context, lifecycle);
      prepared.done();
      await Promise.all([
        composition.loop.run(lifecycle.stopTaking),
        composition.dispatcher?.run(lifecycle.stopTaking),
      ]);
    } finally {
      await close();
      composition.close();
    }
  },
};

export const onceVerb: ControllerVerb = {
  name: 'once',
  description: 'one pass over every open run, each as far as it can go now',
  run: async (context) => {
    const composition = compose(context.config, context.logger, { crash: crasher(context.config.crashAt) });
    try {
      await composition.prepare();
      const done = await composition.loop.once();
      const lines = done.map(({ runId, state, result }) => `${runId}  ${state}  ${result}`);
      context.output(done, lines.length === 0 ? 'no run is open' : lines.join('\n'));
    } finally {
      composition.close();
    }
  },
};

export const openApiVerb: ControllerVerb = {
  name: 'openapi',
  description: 'print the OpenAPI 3.1 document',
  run: (context) => {
    const { routes, close } = compose(context.config, context.logger);
    const document = openApiOf(routes, version);
    context.output(document, JSON.stringify(document, null, 2));
    close();
    return Promise.resolve();
  },
};
