import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runContainerOf, runPaths, type Published, type ResultSummary } from '@xva/contracts';
import type { Session } from './session.ts';

const execute = promisify(execFile);

export interface Results {
  readonly published: Published;
  readonly summary: ResultSummary;
}

/** What a summary says, to the last digit, without what varies from run to run (ids, bundles): equal texts, equal numbers. */
export function numbersOf({ summary }: Pick<Results, 'summary'>): string {
  const { asOf, currency, samples, seed, quantile, gridDates, totals, nettingSets, coverage } = summary;
  return JSON.stringify({ asOf, currency, samples, seed, quantile, gridDates, totals, nettingSets, coverage });
}

/** Lays the bundle that a run published into a folder; the file's path. */
async function fetchBundle(session: Session, published: Published, folder: string): Promise<string> {
  const { attempt, bundleId, runId } = published;
  const name = `${runPaths.taskOut(attempt, 'merge')}/bundle-${bundleId}.tar`;
  const blob = await session.work.container(runContainerOf(runId)).get(name);
  if (blob === undefined) throw new Error(`${runContainerOf(runId)}/${name} is not there`);
  const file = join(folder, `${bundleId}.tar`);
  writeFileSync(file, blob.bytes);
  return file;
}

/** Compares all tables of two published results, bit by bit: undefined when they hold the same, else what differs. */
export async function compareTables(session: Session, left: Published, right: Published): Promise<string | undefined> {
  const folder = join(session.layout.folder, 'compare', `${left.bundleId}-${right.bundleId}`);
  mkdirSync(folder, { recursive: true });
  try {
    const [one, other] = await Promise.all([left, right].map((side) => fetchBundle(session, side, folder)));
    await execute('xva-engine', ['compare', '--left', one ?? '', '--right', other ?? '']);
    return undefined;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    return `${stdout ?? ''}${stderr ?? ''}`.trim() || String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
