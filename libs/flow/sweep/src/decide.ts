import { finalStates } from '@xva/contracts';
import type { SweepFacts, SweepItem, Verdict } from './items.ts';
import type { SweepPolicy, SweepRule } from './policy.ts';

const keep = (reason: string): Verdict => ({ verdict: 'keep', rule: null, reason });

/**
 * Whether an item may go, from what is known of it. Pure, and asked twice: when marking and right before acting.
 *
 * The danger decides the order: what something live, pinned or unpublished may need is kept before any age is looked at.
 */
export function decide(item: SweepItem, facts: SweepFacts, policy: SweepPolicy, now: Date): Verdict {
  if (item.kind === 'foreign') return keep('foreign');
  if (facts.runPinned) return keep('pinned');
  switch (item.kind) {
    case 'run':
      return decideRun(item, policy, now);
    case 'run-container':
      if (facts.runState !== 'none' && facts.runState !== 'swept') return keep('owned-by-run-record');
      return byAge(policy, 'orphanedRuns', item.lastModified, 'no-run-record', now);
    case 'job':
      return decideJob(item, facts, policy, now);
    case 'object':
      if (facts.referenced) return keep('referenced');
      return byAge(policy, 'objects', item.lastModified, 'unreferenced', now);
    case 'request':
      if (facts.runState !== 'none' && facts.runState !== 'swept') return keep('run-kept');
      return byAge(policy, 'requests', item.lastModified, facts.runState === 'none' ? 'no-run' : 'run-swept', now);
    case 'dead-letter':
      return byAge(policy, 'deadLetters', item.lastModified, 'expired', now);
  }
}

function decideRun(item: Extract<SweepItem, { kind: 'run' }>, policy: SweepPolicy, now: Date): Verdict {
  const { record } = item;
  if (record.state === 'swept') return keep('tombstone');
  if (!finalStates.has(record.state)) return keep(`live-${record.state}`);
  if (record.state === 'done' && !item.published) return keep('unpublished-result');
  // The controller has not yet seen the end of all its jobs.
  if (record.state !== 'sweeping' && record.finishedAt === null) return keep('still-ending');
  // A sweep that was killed left the record in `sweeping`: whatever its age, it is finished first.
  if (record.state === 'sweeping') return { verdict: 'mark', rule: 'runs', reason: 'sweep-was-interrupted' };
  return byAge(policy, 'runs', record.finishedAt ?? '', `${record.state}-past-retention`, now);
}

function decideJob(
  item: Extract<SweepItem, { kind: 'job' }>,
  facts: SweepFacts,
  policy: SweepPolicy,
  now: Date,
): Verdict {
  // What is found under a tombstone was made after the sweep by somebody who was late: nobody's, like the rest.
  if (facts.runState === 'none' || facts.runState === 'swept') {
    return byAge(policy, 'orphanedRuns', item.since, 'no-run-record', now);
  }
  if (!finalStates.has(facts.runState)) return keep(`live-${facts.runState}`);
  if (item.state === 'completed' || item.state === 'deleting') return keep('goes-with-its-run');
  return byAge(policy, 'leakedJobs', item.since, 'job-active-though-run-over', now);
}

function byAge(policy: SweepPolicy, rule: SweepRule, since: string, reason: string, now: Date): Verdict {
  const settings = policy.rules[rule];
  if (settings === undefined) return keep(`no-rule-${rule}`);
  const ageSeconds = (now.getTime() - Date.parse(since)) / 1000;
  if (Number.isNaN(ageSeconds)) return keep('age-unknown');
  if (ageSeconds < 0) return keep('clock-behind-storage');
  if (ageSeconds < policy.minimumAgeSeconds) return keep('younger-than-minimum-age');
  if (ageSeconds < settings.retainSeconds) return keep('within-retention');
  return { verdict: 'mark', rule, reason };
}

/** Why a sweep of this report must not start, or undefined. */
export function refuseSweep(
  report: { readonly markedAt: string; readonly looked: number; readonly totals: { items: number; bytes: number } },
  policy: SweepPolicy,
  now: Date,
  approved: boolean,
): string | undefined {
  const ageSeconds = (now.getTime() - Date.parse(report.markedAt)) / 1000;
  if (ageSeconds > policy.reportMaxAgeSeconds) {
    return `the report is ${Math.round(ageSeconds)} s old, more than ${policy.reportMaxAgeSeconds} s: mark again`;
  }
  if (approved) return undefined;
  const { items, bytes, percent } = policy.ceiling;
  if (report.totals.items > items) return `${report.totals.items} items are more than the ceiling of ${items}`;
  if (report.totals.bytes > bytes) return `${report.totals.bytes} bytes are more than the ceiling of ${bytes}`;
  const share = report.looked === 0 ? 0 : (report.totals.items / report.looked) * 100;
  if (share > percent) return `${share.toFixed(1)} % of all items is more than the ceiling of ${percent} %`;
  return undefined;
}
