import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findAz, runScenario, type Seen } from './run-scenario.ts';
import { clients, scenario, type Client } from './scenario.ts';
import { committedTable, renderTable, writeTable, type Counts } from './table.ts';

const root = join(import.meta.dirname, '../../..');
const az = findAz()?.version;
const present = clients.filter((client) => client !== 'az' || az !== undefined);
const results = new Map<Client, Counts>();

/** The installed version of a Python package, as its metadata says. */
function pythonVersion(set: string): string {
  const folder = join(root, '.venv/clients', set);
  const info = readdirSync(folder).find((name) => /^azure_batch-.*\.dist-info$/.test(name)) ?? '';
  return info.slice('azure_batch-'.length, -'.dist-info'.length);
}

function jsVersion(): string {
  const file = join(root, 'node_modules/@azure/batch/package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

describe('the same scenario through every client', () => {
  if (az === undefined) console.log('az is not on this machine: its column of the table stays as it is committed');

  // They mostly wait for nodes: all at once, each against an emulator of its own.
  const running = new Map<Client, Promise<Seen[]>>();
  beforeAll(() => {
    for (const client of present) {
      const run = runScenario(client, scenario);
      run.catch(() => undefined);
      running.set(client, run);
    }
  });

  it.each(present)('%s sees what is to be seen', async (client) => {
    const counts = new Map<string, number>();
    const other: Seen[] = [];
    for (const one of (await running.get(client)) ?? []) {
      if (JSON.stringify(one.seen) !== JSON.stringify(one.step.expect)) other.push(one);
      else counts.set(one.step.op, (counts.get(one.step.op) ?? 0) + 1);
    }
    const told = other.map(({ number, step, seen }) => ({
      number,
      op: step.op,
      args: step.args,
      expected: step.expect,
      seen,
    }));
    expect(told).toEqual([]);
    results.set(client, counts);
  });

  it('is told in the table of the README', async () => {
    expect([...results.keys()]).toEqual(present);
    const committed = committedTable();
    const versions = {
      js: jsVersion(),
      python14: pythonVersion('azure-batch-14'),
      python15: pythonVersion('azure-batch-15'),
      az,
    };
    const table = await renderTable(scenario, results, versions, committed);
    if (process.env['XVA_WRITE_DOCS'] === 'true') writeTable(table);
    else expect(committed).toBe(table);
  });

  it('is told alike on a machine without az', async () => {
    const committed = committedTable();
    const versions = {
      js: jsVersion(),
      python14: pythonVersion('azure-batch-14'),
      python15: pythonVersion('azure-batch-15'),
      az: undefined,
    };
    const without = new Map([...results].filter(([client]) => client !== 'az'));
    expect(await renderTable(scenario, without, versions, committed)).toBe(committed);
  });
});
