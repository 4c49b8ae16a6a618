import type { AuditLog } from './audit-log.ts';
import { verifyDay, type AuditHead, type Fault } from './line.ts';

/** The end of the chain at some moment, kept elsewhere: only it shows that lines and head were cut off together. */
export type Anchor = Pick<AuditHead, 'day' | 'sequence' | 'hash'>;

export interface AuditReport {
  readonly days: number;
  readonly lines: number;
  readonly faults: readonly Fault[];
  readonly unfinished: readonly string[];
  /** To be kept as the anchor of a later check; undefined while there is no line. */
  readonly head: Anchor | undefined;
}

/** Checks every line of the days that are kept, in order, and the links between days. The oldest may have been let go. */
export async function verifyAudit(
  log: Pick<AuditLog, 'heads' | 'lines' | 'days'>,
  anchor?: Anchor,
): Promise<AuditReport> {
  const heads = new Map((await log.heads()).map((head) => [head.day, head]));
  const faults: Fault[] = [];
  const unfinished: string[] = [];
  let lines = 0;
  let opening: string | undefined;
  let seen = anchor === undefined;
  const days = await log.days();
  for (const day of days) {
    const head = heads.get(day);
    const watched = (async function* () {
      for await (const line of log.lines(day)) {
        if (day === anchor?.day && line.sequence === anchor.sequence) seen = line.hash === anchor.hash;
        yield line;
      }
    })();
    const report = await verifyDay(head, watched, opening);
    faults.push(...report.faults.map((fault) => ({ ...fault, day })));
    unfinished.push(...report.unfinished);
    lines += report.lines;
    opening = head?.hash;
  }
  if (anchor !== undefined && !seen) {
    const problem = 'the line of the anchor is not there as it was: lines were cut off or changed after it was taken';
    faults.push({ day: anchor.day, sequence: anchor.sequence, problem });
  }
  const last = heads.get(days.at(-1) ?? '');
  const head = last === undefined ? undefined : { day: last.day, sequence: last.sequence, hash: last.hash };
  return { days: days.length, lines, faults, unfinished, head };
}
