import { canonicalHash } from '@xva/contracts';

/** One line of the audit: who did what to what, and what came of it. */
export interface AuditEntry {
  readonly at: string;
  readonly requestId: string;
  /** `asked` is written before the act, the others after it: an act without its end was cut off by a crash. */
  readonly result: 'asked' | 'done' | 'refused' | 'failed';
  readonly principal: string;
  readonly name: string;
  readonly role: string;
  readonly desk: string;
  readonly operation: string;
  readonly subject: string;
  /** Version or state of the subject before and after; null where there is none. */
  readonly before: string | null;
  readonly after: string | null;
  /** HTTP status, or exit code of the command line. */
  readonly status: number;
  /** Stable name of the problem, or empty. */
  readonly code: string;
}

/** A line in its place: its hash covers the one before it, so that no line can change, go or come in between. */
export interface AuditLine extends AuditEntry {
  /** Day of the partition, `2026-09-30`; a day is closed when the next one begins. */
  readonly day: string;
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly previous: string;
  readonly hash: string;
}

/** End of a day's chain: the row that is swapped when lines are appended. */
export interface AuditHead {
  readonly day: string;
  readonly sequence: number;
  readonly hash: string;
  /** Hash of the last line of the day before, from which this day goes on. */
  readonly opening: string;
  /** The day that follows; empty while lines may still come. */
  readonly closedBy: string;
}

export const genesis = '0'.repeat(64);

export function chained(entry: AuditEntry, day: string, sequence: number, previous: string): AuditLine {
  const line = { ...entry, day, sequence, previous };
  return { ...line, hash: canonicalHash(line) };
}

export interface Fault {
  readonly day: string;
  readonly sequence: number;
  readonly problem: string;
}

/** What `verifyDay` found in one day. */
export interface DayReport {
  readonly day: string;
  readonly lines: number;
  readonly faults: readonly Fault[];
  /** Acts that were asked for and of which no end is known, by request id. */
  readonly unfinished: readonly string[];
}

/**
 * Checks one day's lines, in order, against its head: every hash, the link to the line before, no gap, nothing cut off.
 *
 * @param expectedOpening hash of the last line of the day before, undefined when that day is not kept any more
 */
export async function verifyDay(
  head: AuditHead | undefined,
  lines: AsyncIterable<AuditLine>,
  expectedOpening: string | undefined,
): Promise<DayReport> {
  const faults: Fault[] = [];
  const asked = new Map<string, number>();
  let previous = head?.opening ?? expectedOpening ?? genesis;
  let sequence = 0;
  let day = head?.day ?? '';
  const fault = (at: number, problem: string): void => void faults.push({ day, sequence: at, problem });
  if (head !== undefined && expectedOpening !== undefined && head.opening !== expectedOpening)
    fault(0, 'it does not go on from the day before');
  for await (const line of lines) {
    if (day === '') day = line.day;
    const { hash, ...covered } = line;
    if (line.sequence !== sequence + 1) fault(line.sequence, `line ${sequence + 1} is missing`);
    if (line.previous !== previous) fault(line.sequence, 'it does not go on from the line before');
    if (canonicalHash(covered) !== hash) fault(line.sequence, 'its content is not what was written');
    if (line.result === 'asked') asked.set(line.requestId, line.sequence);
    else asked.delete(line.requestId);
    sequence = line.sequence;
    previous = hash;
  }
  if (head === undefined) fault(sequence, 'the head of the day is missing');
  else if (head.sequence !== sequence || head.hash !== previous)
    fault(sequence, `the head says ${head.sequence} lines: the end was cut off or changed`);
  return { day, lines: sequence, faults, unfinished: [...asked.keys()] };
}
