import { execFile } from 'node:child_process';
import { scalars } from '@xva/contracts';
import { z } from 'zod';
import { appArgs, type AppName } from '../../src/components.ts';
import { eventually } from '../../src/eventually.ts';
import type { RequestRow } from '../../src/load-book.ts';
import { identityOf } from '../../src/undeterred.ts';
import type { TestLab } from './test-lab.ts';

const eventController: AppName = 'xva-file-event-controller';

/** What an operator reads of a dead letter. */
const letterSchema = z.object({
  id: z.string(),
  state: z.enum(['waiting', 'replayed', 'discarded']),
  reason: z.string(),
  message: z.string(),
  attempts: z.int(),
  eventId: scalars.eventId.nullable(),
  defects: z.array(z.object({ subject: z.string(), code: z.string(), message: z.string() })),
});
export type Letter = z.infer<typeof letterSchema>;

interface Answer {
  readonly exitCode: number;
  /** One JSON object per line of stdout. */
  readonly lines: readonly unknown[];
  readonly errors: string;
}

/** A verb of the event controller as a process of its own, as an operator runs it. */
async function deadLetters(lab: TestLab, ...verb: readonly string[]): Promise<Answer> {
  const args = appArgs(eventController, lab.session.configs[eventController], ['--json', 'dead-letters', ...verb]);
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const lines = stdout.split('\n').filter((line) => line.trim() !== '');
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ exitCode, lines: lines.map((line) => JSON.parse(line) as unknown), errors: stderr });
    });
  });
}

/** Letters that wait, as `dead-letters list --json` shows them. */
export async function listLetters(
  lab: TestLab,
  ...query: readonly string[]
): Promise<readonly Omit<Letter, 'defects'>[]> {
  const { exitCode, lines, errors } = await deadLetters(lab, 'list', ...query);
  if (exitCode !== 0) throw new Error(`dead-letters list ended with ${exitCode}: ${errors}`);
  return z.array(letterSchema.omit({ defects: true })).parse(lines);
}

/** A letter in any state, as `dead-letters show --json` shows it. */
export async function showLetter(lab: TestLab, id: string): Promise<Letter> {
  const { exitCode, lines, errors } = await deadLetters(lab, 'show', id);
  if (exitCode !== 0) throw new Error(`dead-letters show ended with ${exitCode}: ${errors}`);
  return letterSchema.parse(lines[0]);
}

/** Waits until a request's event is a dead letter (for the n-th time). */
export async function untilLetter(lab: TestLab, request: RequestRow, attempts = 1): Promise<Letter> {
  const { eventId } = identityOf(request);
  await eventually(
    `event ${eventId} of ${request.book} is a dead letter`,
    // Asked of Storage, since a process per look would cost more than the wait.
    () => lab.session.ledger.container('deadletters').head(`${eventId}.json`),
    60_000,
  );
  return eventually(
    `dead letter ${eventId} after ${attempts} attempts`,
    async () => {
      const letter = await showLetter(lab, eventId);
      return letter.attempts >= attempts ? letter : undefined;
    },
    10_000,
  );
}

export interface Replayed {
  readonly exitCode: number;
  readonly answers: readonly Readonly<Record<string, unknown>>[];
}

/** Replays letters by id or query, or says what it would do. */
export async function replayLetters(lab: TestLab, query: readonly string[], yes = true): Promise<Replayed> {
  const { exitCode, lines } = await deadLetters(lab, 'replay', ...query, ...(yes ? ['--yes'] : []));
  return { exitCode, answers: z.array(z.record(z.string(), z.unknown())).parse(lines) };
}
