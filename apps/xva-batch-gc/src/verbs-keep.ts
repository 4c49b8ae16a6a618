import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  explain,
  pin,
  PinTheRunError,
  RecordedListingError,
  restore,
  testPolicy,
  type Pinned,
  type PinKind,
  type Restored,
  type RestoreTarget,
  type SweepDeps,
} from '@xva/flow-sweep';
import { cliExitCodes, CliError } from '@xva/runtime';
import { loadPolicy } from './policy-file.ts';
import { explanationText, policyTestText, restoredText } from './report-text.ts';
import { loadReport, withDeps, type GcVerb } from './verbs.ts';

const thing = { name: '<thing>', description: 'run id, job id, or container/blob' } as const;

/** What somebody means: a run, a job, or a blob by `container/name`. */
export function kindOf(id: string): PinKind {
  if (/^xva-[0-9]{8}-[a-z0-9-]+-a[1-9][0-9]*$/.test(id)) return 'job';
  if (/^xva-[0-9]{8}-[a-z0-9-]+$/.test(id)) return 'run';
  if (/^[a-z0-9-]{3,63}\/.+$/.test(id)) return 'blob';
  throw new CliError(`${id} is neither a run id, a job id nor container/blob`, cliExitCodes.usage);
}

export const explainVerb: GcVerb = {
  name: 'explain',
  description: 'why a run, job, task or blob is kept or would go',
  args: [{ name: '<thing>', description: 'run id, job id, job/task, or container/blob' }],
  run: (context, [asked = '']) =>
    withDeps(context, async ({ deps }) => {
      const found = await explain(deps, loadPolicy(context.config.policyFile), asked);
      context.output({ asked, found }, explanationText(asked, found));
    }),
};

export const restoreVerb: GcVerb = {
  name: 'restore',
  description: 'bring back from quarantine what a sweep took: all of a report, a run (which is pinned), or one blob',
  args: [{ name: '<what>', description: 'report id, run id, or container/blob' }],
  options: [{ flags: '--by <name>', description: 'who asks, for the pin', default: 'cli' }],
  run: (context, [what = ''], options) =>
    withDeps(context, async ({ deps }) => {
      const target: RestoreTarget = what.startsWith('sweep-')
        ? { report: await loadReport(deps, what) }
        : kindOf(what) === 'run'
          ? { runId: what }
          : { blob: what };
      const restored: Restored[] = [];
      for await (const one of restore(deps, target, String(options['by']))) {
        context.logger.info({ ...one }, 'restore');
        restored.push(one);
      }
      context.output({ what, restored }, restoredText(restored));
      if (restored.length === 0) throw new CliError(`nothing of ${what} is in quarantine`, cliExitCodes.refused);
      const short = restored.filter(({ outcome }) => outcome === 'failed' || outcome === 'gone').length;
      if (short > 0) throw new CliError(`${short} could not be brought back; each says why`);
    }),
};

const pinOptions = [
  { flags: '--reason <text>', description: 'why', default: '' },
  { flags: '--by <name>', description: 'who asks', default: 'cli' },
] as const;

async function requireRun({ runs }: SweepDeps, kind: PinKind, id: string): Promise<void> {
  if (kind === 'run' && (await runs.get(id)) === undefined) throw new CliError(`no run ${id}`, cliExitCodes.refused);
}

const pinVerb: GcVerb = {
  name: 'pin',
  description: 'keep a run and all that it needs, a job or a blob, whatever the policy says',
  args: [thing],
  options: pinOptions,
  run: (context, [id = ''], options) =>
    withDeps(context, async ({ deps }) => {
      const kind = kindOf(id);
      await requireRun(deps, kind, id);
      const wanted = { kind, id, by: String(options['by']), reason: String(options['reason']) };
      const told: Pinned[] = [];
      try {
        for await (const one of pin(deps, loadPolicy(context.config.policyFile), wanted)) told.push(one);
      } catch (error) {
        if (error instanceof PinTheRunError) throw new CliError(error.message, cliExitCodes.refused);
        throw error;
      }
      const lines = told.map((one) => `${one.kind} ${one.id}: ${one.detail}`);
      context.output({ kind, id, pinned: true, told }, lines.join('\n'));
      const unsure = told.filter(({ outcome }) => outcome === 'failed');
      if (unsure.length > 0) throw new CliError(`${id} is pinned, but it is not sure that all of it stays; see above`);
    }),
};

const unpinVerb: GcVerb = {
  name: 'unpin',
  description: 'let the policy decide again',
  args: [thing],
  options: pinOptions,
  run: (context, [id = '']) =>
    withDeps(context, async ({ deps }) => {
      const kind = kindOf(id);
      await requireRun(deps, kind, id);
      await deps.pins.remove(kind, id);
      context.output({ kind, id, pinned: false }, `${kind} ${id}: no longer pinned`);
    }),
};

export const pinVerbs: readonly GcVerb[] = [pinVerb, unpinVerb];

export const policyVerb: GcVerb = {
  name: 'policy',
  description: 'policy test: what the policy would do to a listing that `mark --record` wrote; asks no service',
  args: [
    { name: '<verb>', description: 'test' },
    { name: '<listing>', description: 'file of the recorded listing' },
  ],
  options: [
    { flags: '--policy <file>', description: 'another policy than the configured one' },
    { flags: '--at <time>', description: 'judge as of this ISO time instead of the recording’s' },
  ],
  run: async (context, [verb = '', listing = ''], options) => {
    if (verb !== 'test') throw new CliError(`policy ${verb}: the only verb is test`, cliExitCodes.usage);
    if (!existsSync(listing))
      throw new CliError(`listing ${listing} is not there: write one with mark --record`, cliExitCodes.usage);
    const at = typeof options['at'] === 'string' ? new Date(options['at']) : undefined;
    if (at !== undefined && Number.isNaN(at.getTime()))
      throw new CliError('--at must be an ISO time', cliExitCodes.usage);
    const policy = loadPolicy(typeof options['policy'] === 'string' ? options['policy'] : context.config.policyFile);
    try {
      const result = await testPolicy(policy, createInterface({ input: createReadStream(listing) }), at);
      context.output({ policy: policy.name, ...result }, policyTestText(policy.name, result));
    } catch (error) {
      if (error instanceof RecordedListingError) throw new CliError(error.message, cliExitCodes.refused);
      throw error;
    }
  },
};
