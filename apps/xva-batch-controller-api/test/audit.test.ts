import { TableStore } from '@xva/azure-tables';
import { startAzurite, type Azurite } from '@xva/testkit';
import { AuditLog, headOf, lineOf, rowKeyOf } from '../src/audit/audit-log.ts';
import { genesis, verifyDay, type AuditEntry } from '../src/audit/line.ts';
import { verifyAudit } from '../src/audit/verify.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

let tables = 0;
async function table(): Promise<TableStore> {
  const rows = new TableStore({ connectionString: azurite.connectionString, table: `audit${(tables += 1)}` });
  await rows.ensure();
  return rows;
}

const clockAt = (day: string) => ({ now: () => new Date(`${day}T12:00:00Z`), sleep: async () => undefined });

function entry(requestId: string, result: AuditEntry['result'] = 'done'): Omit<AuditEntry, 'at'> {
  return {
    ...{ requestId, result, principal: 'key:k', name: 'somebody', role: 'operator', desk: 'rates' },
    ...{ operation: 'cancelRun', subject: 'run r', before: '1', after: null, status: 202, code: '' },
  };
}

async function filled(count: number): Promise<TableStore> {
  const rows = await table();
  const log = new AuditLog(rows, clockAt('2026-09-30'));
  for (let index = 1; index <= count; index += 1) await log.append(entry(`r${index}`));
  return rows;
}

describe('the audit', () => {
  it('chains what many replicas append at a time, without gap or loss', async () => {
    const rows = await table();
    const replicas = [1, 2, 3].map(() => new AuditLog(rows, clockAt('2026-09-30')));
    const appended = await Promise.all(
      Array.from({ length: 150 }, (_one, index) => replicas[index % 3]!.append(entry(`r${index}`))),
    );
    expect(new Set(appended.map((line) => line.sequence)).size).toBe(150);
    const report = await verifyAudit(replicas[0]!);
    expect(report).toMatchObject({ lines: 150, faults: [], unfinished: [] });
    const found: string[] = [];
    for await (const line of replicas[1]!.lines('2026-09-30')) found.push(line.requestId);
    expect(found.sort()).toEqual(appended.map((line) => line.requestId).sort());
  });

  it('goes on from day to day, also when a clock is ahead or behind', async () => {
    const rows = await table();
    for (const day of ['2026-09-30', '2026-10-01', '2026-10-05', '2026-10-02', '2026-10-05'])
      await new AuditLog(rows, clockAt(day)).append(entry(day));
    const log = new AuditLog(rows, clockAt('2026-09-30'));
    expect((await log.append(entry('late'))).day).toBe('2026-10-05');
    const heads = await log.heads();
    expect(heads.map(({ day, sequence, closedBy }) => [day, sequence, closedBy])).toEqual([
      ['2026-09-30', 1, '2026-10-01'],
      ['2026-10-01', 1, '2026-10-05'],
      ['2026-10-05', 4, ''],
    ]);
    expect(heads[0]?.opening).toBe(genesis);
    expect(await verifyAudit(log)).toMatchObject({ lines: 6, faults: [] });
  });

  it('goes on where a replica died between closing a day and opening the next', async () => {
    const rows = await filled(1);
    const head = await rows.get('2026-09-30', 'head');
    await rows.replace({ ...head!, properties: { ...head!.properties, closedBy: '2026-10-03' } }, head!.etag);
    const line = await new AuditLog(rows, clockAt('2026-10-01')).append(entry('next'));
    expect(line).toMatchObject({ day: '2026-10-03', sequence: 1 });
    expect(await verifyAudit(new AuditLog(rows, clockAt('2026-10-01')))).toMatchObject({ lines: 2, faults: [] });
  });

  it('names acts whose end is not known', async () => {
    const rows = await table();
    const log = new AuditLog(rows, clockAt('2026-09-30'));
    for (const [id, result] of [
      ['a', 'asked'],
      ['a', 'done'],
      ['b', 'asked'],
    ] as const)
      await log.append(entry(id, result));
    expect(await verifyAudit(log)).toMatchObject({ faults: [], unfinished: ['b'] });
  });

  const tampering: Readonly<Record<string, readonly [(rows: TableStore) => Promise<unknown>, RegExp]>> = {
    'a changed word': [(rows) => edit(rows, 2, { name: 'somebody else' }), /content is not/],
    'a changed line with its hash made new': [(rows) => rehash(rows, 2), /does not go on/],
    'a line taken out': [(rows) => rows.delete('2026-09-30', rowKeyOf(2)), /line 2 is missing/],
    'the last line taken out': [(rows) => rows.delete('2026-09-30', rowKeyOf(3)), /cut off/],
    'the first line taken out': [(rows) => rows.delete('2026-09-30', rowKeyOf(1)), /line 1 is missing/],
    'all lines taken out': [
      async (rows) => Promise.all([1, 2, 3].map((at) => rows.delete('2026-09-30', rowKeyOf(at)))),
      /cut off/,
    ],
    'the head taken out': [(rows) => rows.delete('2026-09-30', 'head'), /head of the day is missing/],
    'two lines swapped': [swapped, /content is not|does not go on/],
    'a line put in': [
      async (rows) => {
        const line = await rows.get('2026-09-30', rowKeyOf(3));
        await rows.insert({ ...line!, rowKey: rowKeyOf(4), properties: { ...line!.properties, sequence: 4 } });
      },
      /does not go on|cut off|content is not/,
    ],
  };

  async function edit(rows: TableStore, at: number, fields: Readonly<Record<string, string>>): Promise<void> {
    const row = await rows.get('2026-09-30', rowKeyOf(at));
    await rows.replace({ ...row!, properties: { ...row!.properties, ...fields } }, row!.etag);
  }

  async function rehash(rows: TableStore, at: number): Promise<void> {
    const { chained } = await import('../src/audit/line.ts');
    const row = await rows.get('2026-09-30', rowKeyOf(at));
    const { day, sequence, previous, hash: _old, ...content } = lineOf(row!);
    await edit(rows, at, {
      name: 'forged',
      hash: chained({ ...content, name: 'forged' }, day, sequence, previous).hash,
    });
  }

  async function swapped(rows: TableStore): Promise<void> {
    const [one, two] = await Promise.all([1, 2].map((at) => rows.get('2026-09-30', rowKeyOf(at))));
    await rows.put({ ...one!, properties: { ...two!.properties, sequence: 1 } });
    await rows.put({ ...two!, properties: { ...one!.properties, sequence: 2 } });
  }

  it.each(Object.entries(tampering))('shows %s', async (_name, [tamper, says]) => {
    const rows = await filled(3);
    const log = new AuditLog(rows, clockAt('2026-09-30'));
    expect((await verifyAudit(log)).faults).toEqual([]);
    await tamper(rows);
    const { faults } = await verifyAudit(log);
    expect(faults.map(({ problem }) => problem).join('; ')).toMatch(says);
  });

  it('shows that lines and head were cut off together only against an anchor kept elsewhere', async () => {
    const rows = await filled(3);
    const log = new AuditLog(rows, clockAt('2026-09-30'));
    const anchor = (await verifyAudit(log)).head;
    const second = lineOf((await rows.get('2026-09-30', rowKeyOf(2)))!);
    const head = await rows.get('2026-09-30', 'head');
    await rows.delete('2026-09-30', rowKeyOf(3));
    await rows.replace({ ...head!, properties: { ...head!.properties, sequence: 2, hash: second.hash } }, head!.etag);
    expect((await verifyAudit(log)).faults).toEqual([]);
    const { faults } = await verifyAudit(log, anchor);
    expect(faults[0]?.problem).toMatch(/anchor/);
  });

  it('shows a whole day that was taken out', async () => {
    const rows = await table();
    for (const day of ['2026-09-28', '2026-09-29', '2026-09-30'])
      await new AuditLog(rows, clockAt(day)).append(entry(day));
    const log = new AuditLog(rows, clockAt('2026-09-30'));
    await rows.delete('2026-09-29', 'head');
    await rows.delete('2026-09-29', rowKeyOf(1));
    const { faults } = await verifyAudit(log);
    expect(faults.map(({ day, problem }) => `${day} ${problem}`).join()).toMatch(/2026-09-30 .*day before/);
    expect(headOf((await rows.get('2026-09-30', 'head'))!).day).toBe('2026-09-30');
    // The oldest days may go when their time is over: what is left is whole.
    await rows.delete('2026-09-28', 'head');
    await rows.delete('2026-09-28', rowKeyOf(1));
    expect((await verifyAudit(log)).faults).toEqual([]);
  });

  it('verifies a day of its own', async () => {
    const rows = await filled(2);
    const log = new AuditLog(rows, clockAt('2026-09-30'));
    const report = await verifyDay((await log.heads())[0], log.lines('2026-09-30'), genesis);
    expect(report).toEqual({ day: '2026-09-30', lines: 2, faults: [], unfinished: [] });
  });
});
