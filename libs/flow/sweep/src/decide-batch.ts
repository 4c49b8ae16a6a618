import { finalStates } from '@xva/contracts';
import type { JobItem, SweepAction, SweepFacts, SweepItem, TaskItem, Verdict } from './items.ts';
import type { SweepPolicy } from './policy.ts';
import { byAge, keep } from './verdicts.ts';

export const environmentLabel = 'xva_environment';

/** Why a thing that no record knows may be another environment's, or undefined when it is ours. */
export function inOtherEnvironment(
  metadata: Readonly<Record<string, string>>,
  policy: Pick<SweepPolicy, 'environment'>,
): string | undefined {
  const theirs = metadata[environmentLabel];
  if (theirs === policy.environment) return undefined;
  return theirs === undefined ? 'environment-unknown' : 'other-environment';
}

type Where = NonNullable<SweepPolicy['rules']['idleJobs']>['where'];

/** Whether a rule is about this job: one of this pipeline, or of the owner that the rule names. */
export function isAbout(where: Where, job: JobItem): boolean {
  if (where.idPrefix === undefined ? job.runId === undefined : !job.id.startsWith(where.idPrefix)) return false;
  if (where.pools !== undefined && !where.pools.includes(job.poolId)) return false;
  if (where.reasons !== undefined && !where.reasons.includes(job.terminateReason ?? '')) return false;
  return Object.entries(where.metadata ?? {}).every(([name, value]) => job.metadata[name] === value);
}

type BatchItem = Extract<SweepItem, { kind: 'job' | 'task' | 'schedule' | 'pool' | 'preparation' }>;

/** The part of `decide` that is about Batch. */
export function decideBatch(item: BatchItem, facts: SweepFacts, policy: SweepPolicy, now: Date): Verdict {
  const { rules } = policy;
  switch (item.kind) {
    case 'job':
      return decideJob(item, facts, policy, now);
    case 'task':
      return decideTask(item, facts, policy, now);
    case 'preparation': {
      const rule = rules.preparationTasks;
      if (rule === undefined || !isAbout(rule.where, item.job)) return keep('no-rule-preparationTasks');
      const reason = 'preparation-left-on-node';
      return forRun(
        item.job,
        facts,
        policy,
        byAge(policy, 'preparationTasks', rule, item.since, reason, now, rule.action),
      );
    }
    case 'schedule': {
      const rule = rules.schedules;
      if (rule !== undefined && !item.id.startsWith(rule.idPrefix)) return keep('foreign');
      if (item.state !== 'completed' && item.state !== 'disabled') return keep(`schedule-${item.state}`);
      return byAge(policy, 'schedules', rule, item.since, `schedule-${item.state}`, now, rule?.action);
    }
    case 'pool': {
      const rule = rules.idlePools;
      if (rule !== undefined && !rule.pools.includes(item.id)) return keep('pool-not-in-rule');
      if (item.nodes === 0) return keep('no-nodes');
      if (!item.steady) return keep('resizing');
      if (item.idleSince === undefined) return keep('in-use');
      return byAge(policy, 'idlePools', rule, item.idleSince, 'idle', now, rule?.action);
    }
  }
}

function decideJob(item: JobItem, facts: SweepFacts, policy: SweepPolicy, now: Date): Verdict {
  const { rules } = policy;
  const over = item.state === 'completed';
  if (item.state === 'deleting') return keep('being-deleted');
  if (item.runId === undefined) return decideByBatchRules(item, policy, now) ?? keep('foreign');
  // What is found under a tombstone was made after the sweep by somebody who was late: nobody's, like the rest.
  if (facts.runState === 'none' || facts.runState === 'swept') {
    const other = inOtherEnvironment(item.metadata, policy);
    if (other !== undefined) return keep(other);
    return byAge(policy, 'orphanedRuns', rules.orphanedRuns, item.since, 'no-run-record', now);
  }
  if (!finalStates.has(facts.runState)) return keep(`live-${facts.runState}`);
  if (!over) {
    const rule = rules.leakedJobs;
    const verdict = byAge(policy, 'leakedJobs', rule, item.since, 'job-active-though-run-over', now, rule?.action);
    return verdict.verdict === 'mark' ? verdict : (decideByBatchRules(item, policy, now) ?? verdict);
  }
  if (facts.runState === 'sweeping') return keep('goes-with-its-run');
  return decideByBatchRules(item, policy, now) ?? keep('goes-with-its-run');
}

/** By `completedJobs` or `idleJobs`; undefined when neither is about this job. */
function decideByBatchRules(item: JobItem, policy: SweepPolicy, now: Date): Verdict | undefined {
  const { completedJobs, idleJobs } = policy.rules;
  if (item.state === 'completed') {
    if (completedJobs === undefined || !isAbout(completedJobs.where, item)) return undefined;
    const verdict = byAge(policy, 'completedJobs', completedJobs, item.since, 'completed-past-retention', now);
    // A job of somebody else keeps its files on its nodes only: that its owner wants it gone is what the rule says.
    return verdict.verdict === 'mark' && item.runId !== undefined && item.safe !== true
      ? keep('outputs-not-safe')
      : verdict;
  }
  if (item.state !== 'active' || idleJobs === undefined || !isAbout(idleJobs.where, item)) return undefined;
  const verdict = byAge(policy, 'idleJobs', idleJobs, item.since, 'nothing-to-run', now, idleJobs.action);
  return verdict.verdict === 'mark' && item.nothingToRun !== true ? keep('has-tasks-to-run') : verdict;
}

const taskRules = {
  blocked: ['blockedTasks', 'blocked-by-failed-task'],
  silent: ['silentTasks', 'no-progress'],
  'lost-node': ['lostNodeTasks', 'node-lost'],
} as const;

function decideTask(item: TaskItem, facts: SweepFacts, policy: SweepPolicy, now: Date): Verdict {
  const [name, reason] = taskRules[item.finding];
  const rule = policy.rules[name];
  if (rule === undefined || !isAbout(rule.where, item.job)) return keep(`no-rule-${name}`);
  return forRun(item.job, facts, policy, byAge(policy, name, rule, item.since, reason, now, rule.action));
}

/** A live run's tasks are its controller's: the collector only tells. Another environment's are not even told. */
function forRun(job: JobItem, facts: SweepFacts, policy: SweepPolicy, verdict: Verdict): Verdict {
  if (job.runId === undefined || verdict.verdict === 'keep') return verdict;
  const { runState } = facts;
  if (runState !== 'none' && !finalStates.has(runState)) return { ...verdict, action: 'report' satisfies SweepAction };
  if (runState === 'none' || runState === 'swept') {
    const other = inOtherEnvironment(job.metadata, policy);
    if (other !== undefined) return keep(other);
  }
  return verdict;
}
