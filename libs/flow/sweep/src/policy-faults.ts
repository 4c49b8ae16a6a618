import { ledgerContainers, workContainers } from '@xva/contracts';
import type { BlobRule } from './policy.ts';

export interface PolicyFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** The part of a policy that is looked at, before it is known to be one. */
interface Draft {
  readonly minimumAgeSeconds: number;
  readonly rules: Readonly<Record<string, { readonly retainSeconds: number } | undefined>> & {
    readonly deadLetters?:
      { readonly retainSeconds: number; readonly closedRetainSeconds?: number | undefined } | undefined;
  };
  readonly blobs: readonly BlobRule[];
}

/** Containers that the collector judges by what they hold, or never touches. */
const ownContainers: Readonly<Record<string, string>> = {
  [workContainers.requests]: 'is judged by rules.requests',
  [workContainers.objects]: 'is judged by rules.objects',
  [ledgerContainers.results]: 'is judged by rules.results',
  [ledgerContainers.deadLetters]: 'is judged by rules.deadLetters',
  [ledgerContainers.checkpoints]: 'holds checkpoints and ownership, which are never taken',
  [ledgerContainers.quarantine]: 'is emptied when the time of quarantine is over',
  [ledgerContainers.sweeps]: "holds the collector's own reports and audit",
  logs: 'is judged by rules.logs',
};

function blobFaults(rule: BlobRule, index: number): readonly PolicyFault[] {
  const faults: PolicyFault[] = [];
  const say = (field: string, message: string): void =>
    void faults.push({ path: ['blobs', index, field], message: `rule ${rule.name}: ${message}` });
  const own =
    ownContainers[rule.container] ?? (rule.container.startsWith('run-') ? 'is judged by rules.runs' : undefined);
  if (own !== undefined) say('container', `container ${rule.container} ${own}`);
  if (rule.class === 'checkpoint') say('class', 'checkpoints are never taken');
  const narrowed =
    rule.prefix !== '' ||
    rule.class !== undefined ||
    rule.runStates !== undefined ||
    Object.keys({ ...rule.metadata, ...rule.tags }).length > 0;
  if (!narrowed && !rule.wholeContainer)
    say(
      'prefix',
      `matches everything in container ${rule.container}: give a prefix, metadata, tags, class or runStates, or say "wholeContainer": true`,
    );
  if (narrowed && rule.wholeContainer) say('wholeContainer', 'says all of the container, but other fields narrow it');
  return faults;
}

function overlapFaults(blobs: readonly BlobRule[]): readonly PolicyFault[] {
  return blobs.flatMap((rule, index) =>
    blobs.slice(0, index).flatMap((other): PolicyFault[] => {
      if (other.name === rule.name)
        return [{ path: ['blobs', index, 'name'], message: `two rules are called ${rule.name}` }];
      const same = other.account === rule.account && other.container === rule.container;
      if (!same || !(rule.prefix.startsWith(other.prefix) || other.prefix.startsWith(rule.prefix))) return [];
      const where = `${rule.container}/${rule.prefix.length > other.prefix.length ? rule.prefix : other.prefix}`;
      return [
        {
          path: ['blobs', index, 'prefix'],
          message: `rules ${other.name} and ${rule.name} overlap: both match ${where}`,
        },
      ];
    }),
  );
}

/** What is wrong with a policy beyond the shape of its fields: contradictions, overlaps, rules that match everything. */
export function policyFaults(policy: Draft): readonly PolicyFault[] {
  const { rules, minimumAgeSeconds } = policy;
  const faults: PolicyFault[] = [];
  const say = (rule: string, field: string, message: string): void =>
    void faults.push({ path: ['rules', rule, field], message });
  for (const [name, rule] of Object.entries(rules)) {
    if (rule !== undefined && rule.retainSeconds < minimumAgeSeconds)
      say(
        name,
        'retainSeconds',
        `${rule.retainSeconds} s is below minimumAgeSeconds (${minimumAgeSeconds} s), which rules: say the same`,
      );
  }
  policy.blobs.forEach((rule, index) => {
    if (rule.retainSeconds < minimumAgeSeconds)
      faults.push({
        path: ['blobs', index, 'retainSeconds'],
        message: `rule ${rule.name}: ${rule.retainSeconds} s is below minimumAgeSeconds (${minimumAgeSeconds} s)`,
      });
  });
  const { requests, deadLetters, runs, results, completedJobs, logs } = rules;
  if (requests !== undefined && (deadLetters === undefined || requests.retainSeconds < deadLetters.retainSeconds))
    say(
      'requests',
      'retainSeconds',
      'requests must be kept at least as long as dead letters: a letter without its frozen request cannot be replayed',
    );
  if (deadLetters?.closedRetainSeconds !== undefined && deadLetters.closedRetainSeconds > deadLetters.retainSeconds)
    say('deadLetters', 'closedRetainSeconds', 'a letter that is closed would be kept longer than one that waits');
  if (results !== undefined && (runs === undefined || results.retainSeconds < runs.retainSeconds))
    say('results', 'retainSeconds', 'published results must be kept at least as long as their runs (rules.runs)');
  if (completedJobs !== undefined && runs !== undefined && completedJobs.retainSeconds > runs.retainSeconds)
    say('completedJobs', 'retainSeconds', 'jobs go with their run, so they cannot be kept longer than rules.runs says');
  if (logs !== undefined && runs === undefined)
    say('logs', 'retainSeconds', 'logs belong to runs: rules.runs must say how long these are kept');
  return [...faults, ...policy.blobs.flatMap(blobFaults), ...overlapFaults(policy.blobs)];
}
