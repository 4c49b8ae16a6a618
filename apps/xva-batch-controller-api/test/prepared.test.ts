import express from 'express';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Prepared } from '../src/http/prepared.ts';
import { ProblemError } from '../src/http/problems.ts';

async function serve(prepared: Prepared, waitMs: number) {
  const app = express();
  app.use(prepared.gate(waitMs));
  app.get('/', (_request, response) => void response.send('there'));
  app.use((error: unknown, _request: express.Request, response: express.Response, next: express.NextFunction) => {
    if (error instanceof ProblemError) response.status(error.status).send(error.code);
    else next(error);
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { ask: () => fetch(`http://127.0.0.1:${port}/`), stop: () => server.close() };
}

describe('requests before the stores are there', () => {
  it('wait for them', async () => {
    const prepared = new Prepared();
    const { ask, stop } = await serve(prepared, 60_000);
    const asked = ask();
    prepared.done();
    expect(await (await asked).text()).toBe('there');
    expect((await ask()).status).toBe(200);
    stop();
  });

  it('are told to try again when that takes too long', async () => {
    const prepared = new Prepared();
    const { ask, stop } = await serve(prepared, 1);
    const answer = await ask();
    expect([answer.status, await answer.text()]).toEqual([503, 'not-ready']);
    prepared.done();
    expect((await ask()).status).toBe(200);
    stop();
  });
});
