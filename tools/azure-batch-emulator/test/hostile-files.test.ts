import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BatchServiceClient } from '@azure/batch';
import { startBatchEmulator, type BatchEmulator } from '../src/index.ts';
import { clientFor, completed, fileText } from './helpers.ts';

let emulator: BatchEmulator;
let client: BatchServiceClient;
const folder = mkdtempSync(join(tmpdir(), 'hostile-files-'));
const secret = join(folder, 'secret.txt');

beforeAll(async () => {
  writeFileSync(secret, 'not for tasks');
  emulator = await startBatchEmulator({
    config: { pools: [{ id: 'pool', vmSize: 'lab', taskSlotsPerNode: 2 }], nodeBootMs: 0, casing: 'pascal' },
  });
  client = clientFor(emulator.endpoints['batch'] ?? '');
  await client.job.add({ id: 'job', poolInfo: { poolId: 'pool' } });
});
afterAll(async () => {
  await emulator.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The path as it stands: no client leaves dots in it. */
function raw(method: string, path: string): Promise<{ readonly status: number; readonly text: string }> {
  const { hostname, port } = new URL(emulator.endpoints['batch'] ?? '');
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path: `${path}api-version=2025-06-01`, headers: { authorization: 'Bearer t' } }; // prettier-ignore
    const outgoing = request(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

describe('the files of a task', () => {
  beforeAll(async () => {
    await client.task.add('job', {
      id: 'links',
      commandLine: `/bin/sh -c "mkdir out; echo kept > out/a.txt; ln -s ${secret} away.txt; ln -s ${folder} away; ln -s out near; pwd"`,
    });
    await completed(client, 'job', 'links');
  });

  const files = '/jobs/job/tasks/links/files';
  it.each(['wd/away.txt', 'wd/away/secret.txt', 'wd/none.txt', 'wd/%2e%2e/%2e%2e/links'])(
    '%s is not read, whether it is there or not',
    async (name) => {
      for (const method of ['GET', 'HEAD']) expect((await raw(method, `${files}/${name}?`)).status).toBe(404);
    },
  );

  it('reads through a link that stays on the node', async () => {
    expect(await fileText(client, 'job', 'links', 'wd/near/a.txt')).toBe('kept\n');
  });

  it('names links in lists, without the size of what lies elsewhere', async () => {
    const list = await client.file.listFromTask('job', 'links', { recursive: true });
    const away = list.find(({ name }) => name === 'wd/away.txt');
    expect(away).toMatchObject({ isDirectory: false });
    expect(away?.properties).toBeUndefined();
  });

  it.each(['.', 'wd/..', 'wd/../.', '%2e', 'wd/../../links', '../links', '../..', 'wd/away/secret.txt'])(
    'DELETE of %s takes nothing away',
    async (name) => {
      expect((await raw('DELETE', `${files}/${name}?recursive=true&`)).status).toBe(404);
      expect(await fileText(client, 'job', 'links', 'wd/out/a.txt')).toBe('kept\n');
      expect(readdirSync(folder)).toEqual(['secret.txt']);
    },
  );

  it('DELETE of a link takes the link, not what it leads to', async () => {
    for (const name of ['wd/away', 'wd/away.txt', 'wd/near']) {
      expect((await raw('DELETE', `${files}/${name}?recursive=true&`)).status).toBe(200);
    }
    expect(readdirSync(folder)).toEqual(['secret.txt']);
    expect(await fileText(client, 'job', 'links', 'wd/out/a.txt')).toBe('kept\n');
    const names = (await client.file.listFromTask('job', 'links', { recursive: true })).map(({ name }) => name);
    expect(names.sort()).toEqual(['stderr.txt', 'stdout.txt', 'wd', 'wd/out', 'wd/out/a.txt']);
  });

  it.each(['.', 'startup/..'])('DELETE of %s of a node takes nothing away', async (name) => {
    const node = (await client.computeNode.list('pool'))[0]?.id ?? '';
    expect((await raw('DELETE', `/pools/pool/nodes/${node}/files/${name}?recursive=true&`)).status).toBe(404);
    expect(await fileText(client, 'job', 'links', 'wd/out/a.txt')).toBe('kept\n');
  });
});

describe('output files', () => {
  it.each(['[z-a]*', '*a*a*a*a*a*a*a*a*a*a*a*a*b', '../../../*', '**/**/**/**/*[!-]x'])(
    'of the pattern %s match nothing, and the task ends as it would',
    async (filePattern) => {
      const id = `pattern-${Buffer.from(filePattern).toString('hex').slice(0, 40)}`;
      await client.task.add('job', {
        id,
        commandLine: `/bin/sh -c "touch ${'a'.repeat(200)} ${'a'.repeat(100)}c"`,
        outputFiles: [
          {
            filePattern,
            destination: { container: { containerUrl: 'http://127.0.0.1:9/account/none' } },
            uploadOptions: { uploadCondition: 'taskcompletion' },
          },
        ],
      });
      const { executionInfo } = await completed(client, 'job', id);
      expect(executionInfo).toMatchObject({ exitCode: 0, result: 'success' });
    },
  );
});

describe('casing that the configuration fixes', () => {
  it('holds for every api-version', async () => {
    await client.task.add('job', { id: 'fails', commandLine: '/bin/false' });
    await completed(client, 'job', 'fails');
    expect((await raw('GET', '/jobs/job/tasks/fails?')).text).toContain('"category":"UserError"');
  });
});
