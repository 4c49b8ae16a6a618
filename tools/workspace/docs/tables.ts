import { exitCodes } from '@xva/contracts';
import { judgeFailure, type TaskFailure } from '../../../libs/flow/submit/src/decide.ts';
import { publishedContracts } from '../../../libs/xva-contracts/src/json-schemas.ts';

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

/** What each class of a task's end means; a new class without a sentence does not compile. */
const meanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  success: 'every netting set was accepted or rejected by name, and the bundle is there',
  usage: 'the command line is wrong',
  badInput: 'package, task file or bundles are not what they must be; the message names which',
  modelFailure:
    'numbers that cannot be accepted for a defect of no single netting set; in the merge: a strict run with rejections, or nothing left to publish',
  engineCrash: 'the engine died, or ended without handing over its reports',
  outOfMemory: 'the engine or the runner ran out of memory, or was killed with SIGKILL',
  cancelled: 'stopped by SIGTERM or SIGINT',
  infrastructure: 'the machine failed the task: disk, files',
  internal: 'a fault of the runner itself; its trace is in stderr.txt',
};

/** What the controller makes of a first failure of the class, with a pool of large nodes at hand. */
function followsOf(exitClass: keyof typeof exitCodes): string {
  if (exitClass === 'success') return 'the bundle is checked and accepted';
  const task = { id: '', state: 'completed', requeueCount: 0 } as const;
  const failure = { taskId: '', exitClass, exitCode: exitCodes[exitClass], message: '', at: new Date(0), task };
  const policy = { maxTaskRetries: 3, taskRetryDelayMs: 0, maxSpotAttempts: 2, largePoolId: 'large' };
  const verdict = judgeFailure(failure as unknown as TaskFailure, { poolClass: 'dedicated' }, 0, policy);
  switch (verdict) {
    case 'final':
      return 'the run fails with the message';
    case 'again':
      return 'the task is tried again; after losses on spot nodes, on dedicated ones';
    case 'large':
      return 'the task is tried again on nodes with more memory, where there is a pool of them';
    case 'dedicated':
      return 'the task is tried again on dedicated nodes';
  }
}

/** Exit codes of a task, by class of failure, and what the controller does. */
export function exitCodesMarkdown(): string {
  const names = Object.keys(exitCodes) as (keyof typeof exitCodes)[];
  return table(
    ['code', 'class', 'means', 'what follows'],
    names.map((name) => [String(exitCodes[name]), `\`${name}\``, meanings[name], followsOf(name)]),
  );
}

/** Who writes what is described by a schema, and where it is. */
const places: Readonly<Record<string, string>> = {
  'run-event': 'event in Event Hubs (CloudEvents 1.0), from the integrator',
  'frozen-request': 'blob `requests/<eventId>.json`, body of `POST /v1/packages` of the input API',
  manifest: 'what the input API answers; blob `objects/<packageId>`',
  'job-request': 'body of `POST /v1/runs` of the controller',
  'run-record': 'row of a run in the ledger table `runs`',
  'run-view': 'answer of `GET /v1/runs/{runId}`',
  'run-page': 'answer of `GET /v1/runs`',
  'run-progress': 'answer of `GET /v1/runs/{runId}/progress`',
  'task-spec': '`task.json` of a shard or of the merge',
  'task-progress': '`out/progress.json` of a task that runs',
  'task-report': '`out/report-<bundleId>.json` of a task that ended',
  bundle: '`bundle.json`, the first file in a bundle',
  'result-summary': '`summary.json` of a published result',
  published: 'pointer `results/<runId>/published.json`',
  problem: 'error answers (problem details) of the HTTP APIs',
  'package-problem': 'the input API’s refusal with every defect',
  'dead-letter': 'blob `deadletters/<letterId>.json` of the ledger; its state is in the metadata too',
  'retention-labels': 'metadata of blobs, containers, jobs and tasks, read by the collector',
};

/** @throws Error for a schema that nobody said a word about. */
export function schemasMarkdown(): string {
  return table(
    ['schema', 'what it describes'],
    Object.keys(publishedContracts).map((name) => {
      const trade = /^trade-terms\.(.+)$/.exec(name)?.[1];
      const place = trade === undefined ? places[name] : `terms of a ${trade} trade`;
      if (place === undefined) throw new Error(`tools/workspace/docs/tables.ts does not say what ${name} describes`);
      return [`[${name}](../libs/xva-contracts/schemas/${name}.schema.json)`, place];
    }),
  );
}
