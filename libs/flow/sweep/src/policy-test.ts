import { z } from 'zod';
import { decide } from './decide.ts';
import type { Looked } from './inventory.ts';
import type { SweepFacts, SweepItem } from './items.ts';
import type { BlobRule, SweepPolicy } from './policy.ts';

/** One line of a recorded listing: an item as a mark saw it, with the facts of that moment. */
export interface RecordedLine {
  readonly at: string;
  readonly item: SweepItem;
  readonly facts: SweepFacts;
}

export function recordLine(looked: Looked, at: Date): string {
  return JSON.stringify({ at: at.toISOString(), item: looked.item, facts: looked.facts });
}

export interface PolicyTestResult {
  readonly looked: number;
  readonly kept: Readonly<Record<string, number>>;
  readonly marked: readonly {
    readonly kind: string;
    readonly id: string;
    readonly rule: string;
    readonly reason: string;
  }[];
}

/** Thrown for a line that is no recorded item, by number. */
export class RecordedListingError extends Error {
  override readonly name = 'RecordedListingError';
  readonly line: number;

  constructor(line: number, why: string) {
    super(`line ${line} of the recorded listing: ${why}`);
    this.line = line;
  }
}

const lineSchema = z.looseObject({
  at: z.iso.datetime(),
  item: z.looseObject({ kind: z.string(), id: z.string() }),
  facts: z.strictObject({ runState: z.string(), pinned: z.boolean(), referenced: z.boolean() }),
});

function ruleFor(policy: SweepPolicy, item: Extract<SweepItem, { kind: 'blob' }>): BlobRule | undefined {
  const name = item.id.slice(item.place.container.length + 1);
  return policy.blobs.find(
    (rule) =>
      rule.account === item.place.account && rule.container === item.place.container && name.startsWith(rule.prefix),
  );
}

function parseLine(text: string, line: number): RecordedLine {
  try {
    return lineSchema.parse(JSON.parse(text)) as unknown as RecordedLine;
  } catch (error) {
    throw new RecordedListingError(line, error instanceof SyntaxError ? 'is not JSON' : 'is no recorded item');
  }
}

/**
 * What a policy would do to a recorded listing, at the time of the recording or another. What a rule looks up besides
 * (whether a job has work left) counts as it was recorded.
 *
 * @throws RecordedListingError
 */
export async function testPolicy(
  policy: SweepPolicy,
  lines: AsyncIterable<string> | Iterable<string>,
  now?: Date,
): Promise<PolicyTestResult> {
  const kept: Record<string, number> = {};
  const marked: { kind: string; id: string; rule: string; reason: string }[] = [];
  let [looked, number] = [0, 0];
  for await (const text of lines) {
    number += 1;
    if (text.trim() === '') continue;
    const { at, item, facts } = parseLine(text, number);
    looked += 1;
    const rule = item.kind === 'blob' ? ruleFor(policy, item) : undefined;
    const judged = item.kind === 'blob' && rule !== undefined ? { ...item, rule } : item;
    const unruled = item.kind === 'blob' && rule === undefined;
    let verdict;
    try {
      verdict = unruled ? undefined : decide(judged, facts, policy, now ?? new Date(at));
    } catch {
      throw new RecordedListingError(number, `item ${item.kind} ${item.id} lacks what its kind needs`);
    }
    if (verdict?.verdict === 'mark')
      marked.push({ kind: item.kind, id: item.id, rule: verdict.rule ?? '', reason: verdict.reason });
    else {
      const name = `${item.kind}:${verdict?.reason ?? 'no-rule'}`;
      kept[name] = (kept[name] ?? 0) + 1;
    }
  }
  return { looked, kept, marked };
}
