import { finalStates } from '@xva/contracts';
import { decideBatch, inOtherEnvironment } from './decide-batch.ts';
import type { SweepFacts, SweepItem, SweepReport, Verdict } from './items.ts';
import type { SweepPolicy } from './policy.ts';
import { byAge, keep } from './verdicts.ts';

/**
 * Whether an item may go, from what is known of it. Pure, and asked twice: when marking and right before acting.
 *
 * The danger decides the order: what something live, pinned, held or unpublished may need is kept before any age is looked at.
 */
export function decide(item: SweepItem, facts: SweepFacts, policy: SweepPolicy, now: Date): Verdict {
  if (item.kind === 'foreign') return keep('foreign');
  // A sweep that was interrupted ends one way or the other, a pin or not: let go, or a tombstone where it is too late.
  const interrupted = item.kind === 'run' && item.record.state === 'sweeping';
  if (facts.pinned && !interrupted) return keep('pinned');
  if ('hold' in item && item.hold !== undefined) return keep(item.hold);
  switch (item.kind) {
    case 'run':
      return decideRun(item, policy, now);
    case 'run-container': {
      if (facts.runState !== 'none' && facts.runState !== 'swept') return keep('owned-by-run-record');
      const other = inOtherEnvironment(item.metadata, policy);
      if (other !== undefined) return keep(other);
      return byAge(policy, 'orphanedRuns', policy.rules.orphanedRuns, item.lastModified, 'no-run-record', now);
    }
    case 'object':
      if (facts.referenced) return keep('referenced');
      return byAge(policy, 'objects', policy.rules.objects, item.lastModified, 'unreferenced', now);
    case 'request':
      if (facts.runState !== 'none' && facts.runState !== 'swept') return keep('run-kept');
      return byAge(
        policy,
        'requests',
        policy.rules.requests,
        item.lastModified,
        facts.runState === 'none' ? 'no-run' : 'run-swept',
        now,
      );
    case 'dead-letter':
      return decideLetter(item, policy, now);
    case 'log':
    case 'result':
      return decideOfRun(item, facts, policy, now);
    case 'blob':
      return decideBlob(item, facts, policy, now);
    case 'quarantined':
      return decideQuarantined(item, policy, now);
    default:
      return decideBatch(item, facts, policy, now);
  }
}

function decideRun(item: Extract<SweepItem, { kind: 'run' }>, policy: SweepPolicy, now: Date): Verdict {
  const { record } = item;
  const rule = policy.rules.runs;
  if (record.state === 'swept') return keep('tombstone');
  // A sweep that was killed left the record in `sweeping`: whatever its age, it is finished first.
  if (record.state === 'sweeping')
    return { verdict: 'mark', rule: 'runs', reason: 'sweep-was-interrupted', action: 'delete' };
  if (!finalStates.has(record.state)) return keep(`live-${record.state}`);
  if (record.state === 'done' && !item.published) return keep('unpublished-result');
  // The controller has not yet seen the end of all its jobs.
  if (record.finishedAt === null) return keep('still-ending');
  const state = record.state as 'done' | 'failed' | 'cancelled';
  if (rule?.states !== undefined && !rule.states.includes(state)) return keep('state-not-in-rule');
  if (rule?.books !== undefined && !rule.books.includes(record.requestKey.book)) return keep('book-not-in-rule');
  if (rule?.keepLastPerBook !== undefined && item.newest) return keep('newest-of-its-book');
  return byAge(policy, 'runs', rule, record.finishedAt, `${state}-past-retention`, now);
}

function decideLetter(item: Extract<SweepItem, { kind: 'dead-letter' }>, policy: SweepPolicy, now: Date): Verdict {
  const rule = policy.rules.deadLetters;
  if (rule?.states !== undefined && !rule.states.includes(item.state)) return keep('state-not-in-rule');
  const waits = item.state === 'waiting';
  const retainSeconds = waits ? rule?.retainSeconds : (rule?.closedRetainSeconds ?? rule?.retainSeconds);
  const timed = retainSeconds === undefined ? undefined : { retainSeconds };
  return byAge(policy, 'deadLetters', timed, item.lastModified, waits ? 'expired' : `${item.state}-expired`, now);
}

function decideOfRun(
  item: Extract<SweepItem, { kind: 'log' | 'result' }>,
  facts: SweepFacts,
  policy: SweepPolicy,
  now: Date,
): Verdict {
  const { runState } = facts;
  if (item.kind === 'result') {
    if (runState === 'none') return keep('result-without-record');
    if (runState !== 'swept') return keep('run-kept');
    if (policy.rules.results?.keepLastPerBook !== undefined && item.newest) return keep('newest-of-its-book');
    return byAge(policy, 'results', policy.rules.results, item.lastModified, 'run-swept', now);
  }
  if (runState === 'sweeping') return keep('goes-with-its-run');
  if (runState !== 'none' && !finalStates.has(runState)) return keep(`live-${runState}`);
  return byAge(policy, 'logs', policy.rules.logs, item.over ?? item.lastModified, 'log-past-retention', now);
}

function decideBlob(
  item: Extract<SweepItem, { kind: 'blob' }>,
  facts: SweepFacts,
  policy: SweepPolicy,
  now: Date,
): Verdict {
  const { rule, metadata, tags } = item;
  if (metadata['xva_class'] === 'checkpoint') return keep('checkpoint');
  if (rule.class !== undefined && metadata['xva_class'] !== rule.class)
    return keep(metadata['xva_class'] === undefined ? 'class-unknown' : 'class-not-in-rule');
  const differs = (
    wanted: Readonly<Record<string, string>> | undefined,
    has: Readonly<Record<string, string>>,
  ): boolean =>
    Object.entries(wanted ?? {}).some(([name, value]) =>
      value === '*' ? has[name] === undefined : has[name] !== value,
    );
  if (differs(rule.metadata, metadata)) return keep('metadata-not-in-rule');
  if (differs(rule.tags, tags)) return keep('tags-not-in-rule');
  if (facts.runState !== 'none' && !finalStates.has(facts.runState)) return keep(`live-${facts.runState}`);
  if (rule.runStates !== undefined) {
    if (metadata['xva_run_id'] === undefined) return keep('run-unknown');
    if (!rule.runStates.includes(facts.runState as 'none')) return keep(`run-${facts.runState}`);
  }
  if (rule.keepLastPerBook !== undefined) {
    if (metadata['xva_book'] === undefined) return keep('book-unknown');
    if (item.newest) return keep('newest-of-its-book');
  }
  if (rule.unusedSeconds !== undefined) {
    if (item.lastAccessed === undefined) return keep('last-use-unknown');
    if (now.getTime() - Date.parse(item.lastAccessed) < rule.unusedSeconds * 1000) return keep('used-lately');
  }
  return byAge(policy, `blobs.${rule.name}`, rule, item.lastModified, 'expired', now);
}

function decideQuarantined(item: Extract<SweepItem, { kind: 'quarantined' }>, policy: SweepPolicy, now: Date): Verdict {
  const until = Date.parse(item.metadata['xva_q_until'] ?? '');
  if (Number.isNaN(until)) return keep('foreign');
  if (now.getTime() < until || now < new Date(item.lastModified)) return keep('in-quarantine');
  return { verdict: 'mark', rule: 'quarantine', reason: 'quarantine-over', action: 'delete' };
}

/** Why a sweep of this report must not start, or undefined. `approved` = the id of the report that somebody read and approved. */
export function refuseSweep(
  report: Pick<SweepReport, 'reportId' | 'markedAt' | 'looked' | 'totals'>,
  policy: SweepPolicy,
  now: Date,
  approved: string | undefined,
): string | undefined {
  const ageSeconds = (now.getTime() - Date.parse(report.markedAt)) / 1000;
  if (ageSeconds > policy.reportMaxAgeSeconds) {
    return `the report is ${Math.round(ageSeconds)} s old, more than ${policy.reportMaxAgeSeconds} s: mark again`;
  }
  if (ageSeconds < 0)
    return `the report was made ${Math.round(-ageSeconds)} s in the future: the clock went back; mark again`;
  if (approved !== undefined && approved !== report.reportId)
    return `report ${approved} was approved, but ${report.reportId} was to be swept`;
  if (approved !== undefined) return undefined;
  const { items, bytes, percent } = policy.ceiling;
  const ask = `; read it, then sweep with --approve ${report.reportId}`;
  if (report.totals.items > items) return `${report.totals.items} items are more than the ceiling of ${items}${ask}`;
  if (report.totals.bytes > bytes) return `${report.totals.bytes} bytes are more than the ceiling of ${bytes}${ask}`;
  const share = report.looked === 0 ? 0 : (report.totals.items / report.looked) * 100;
  if (share > percent) return `${share.toFixed(1)} % of all items is more than the ceiling of ${percent} %${ask}`;
  return undefined;
}
