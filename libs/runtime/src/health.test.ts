import { Registry } from 'prom-client';
import { startOpsServer } from './health.ts';
import { childTraceparent, newTraceparent, parseTraceparent } from './trace.ts';

describe('ops server', () => {
  it('tells alive from ready, names what is missing, and says when it is stopping', async () => {
    let broken = true;
    const stopping = new AbortController();
    const server = await startOpsServer({
      host: '127.0.0.1',
      port: 0,
      registry: new Registry(),
      stopping: stopping.signal,
      checks: [{ name: 'hub', run: () => (broken ? Promise.reject(new Error('no route')) : Promise.resolve('ok')) }],
    });
    const status = async (path: string): Promise<number> => (await fetch(`${server.url}${path}`)).status;
    try {
      expect([await status('/healthz'), await status('/readyz'), await status('/metrics'), await status('/x')]).toEqual(
        [200, 503, 200, 404],
      );
      expect(await (await fetch(`${server.url}/readyz`)).text()).toContain('no route');
      broken = false;
      expect(await status('/readyz')).toBe(200);
      stopping.abort();
      expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 503]);
    } finally {
      await server.close();
    }
  });
});

describe('traceparent', () => {
  it('keeps the trace and changes the span', () => {
    const parent = newTraceparent();
    const child = parseTraceparent(childTraceparent(parent));
    expect(child?.traceId).toBe(parseTraceparent(parent)?.traceId);
    expect(child?.spanId).not.toBe(parseTraceparent(parent)?.spanId);
  });

  it.each(['', 'x', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`, `01-${'1'.repeat(32)}-${'1'.repeat(16)}-01`])(
    'starts a new trace for %p',
    (text) => {
      expect(parseTraceparent(text)).toBeUndefined();
      expect(parseTraceparent(childTraceparent(text))).toBeDefined();
    },
  );
});
