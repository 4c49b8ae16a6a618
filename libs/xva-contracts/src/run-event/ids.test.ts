import fc from 'fast-check';
import { runId as runIdSchema } from '../scalars.ts';
import { jobIdOf, parseJobId, runContainerOf, runIdOfContainer, runRowKeys } from '../job/names.ts';
import { deriveEventId, deriveRunId } from './ids.ts';
import { requestKeySchema } from './request-key.ts';

const token = fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/).filter((text) => text !== '.' && text !== '..');
const day = fc
  .date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));
const key = fc.record({ book: token, asOf: day, cut: token, scenario: token });
const revision = fc.integer({ min: 1, max: 1_000_000 });

describe('derived ids', () => {
  it('are stable under key order', () => {
    fc.assert(
      fc.property(token, key, revision, (definition, parts, version) => {
        const shuffled = { scenario: parts.scenario, cut: parts.cut, asOf: parts.asOf, book: parts.book };
        expect(deriveEventId(definition, shuffled, String(version))).toBe(
          deriveEventId(definition, parts, String(version)),
        );
      }),
    );
  });

  it('change with every single field', () => {
    fc.assert(
      fc.property(key, revision, fc.constantFrom('book', 'asOf', 'cut', 'scenario'), (parts, version, field) => {
        const other = { ...parts, [field]: field === 'asOf' ? '1999-12-31' : `${parts[field]}x`.slice(-64) };
        fc.pre(other[field] !== parts[field]);
        const id = deriveEventId('rates', parts, String(version));
        expect(deriveEventId('rates', other, String(version))).not.toBe(id);
        expect(deriveEventId('rates', parts, String(version + 1))).not.toBe(id);
        expect(deriveEventId('fx', parts, String(version))).not.toBe(id);
      }),
    );
  });

  it('do not run together where one field ends and the next begins', () => {
    const a = deriveEventId('d', { book: 'A', asOf: '2026-09-30', cut: 'BC', scenario: 'D' }, '1');
    const b = deriveEventId('d', { book: 'AB', asOf: '2026-09-30', cut: 'C', scenario: 'D' }, '1');
    expect(a).not.toBe(b);
  });

  it('give run ids that fit Batch and containers, unique for many events of one book and day', () => {
    const seen = new Set<string>();
    for (let revisionNumber = 1; revisionNumber <= 20_000; revisionNumber += 1) {
      const parts = { book: 'Rates.Book_01', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE' };
      const run = deriveRunId(deriveEventId('rates', parts, String(revisionNumber)), parts);
      seen.add(run);
    }
    expect(seen.size).toBe(20_000);
  });

  it('give names that lead back to the run', () => {
    fc.assert(
      fc.property(key, revision, (parts, version) => {
        expect(requestKeySchema.safeParse({ ...parts, revision: version }).success).toBe(true);
        const run = deriveRunId(deriveEventId('rates', parts, String(version)), parts);
        expect(run.length).toBeLessThanOrEqual(40);
        expect(runIdSchema.parse(run)).toBe(run);
        expect(jobIdOf(run, 12).length).toBeLessThanOrEqual(64);
        expect(parseJobId(jobIdOf(run, 12))).toEqual({ runId: run, attempt: 12 });
        expect(runContainerOf(run)).toMatch(/^[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]$/);
        expect(runIdOfContainer(runContainerOf(run))).toBe(run);
        expect(runRowKeys(run).partitionKey).toBe(parts.asOf.replaceAll('-', ''));
      }),
    );
  });

  it('has a golden value, so that a change of the rule is seen', () => {
    const parts = { book: 'RATES', asOf: '2026-09-30', cut: 'EOD', scenario: 'BASE' };
    const id = deriveEventId('rates', parts, '1');
    expect([id, deriveRunId(id, parts)]).toMatchInlineSnapshot(`
     [
       "4c83360154a34afc4789a0982fc49de1",
       "xva-20260930-rates-5txsuqhj6vtx2p",
     ]
    `);
  });
});
