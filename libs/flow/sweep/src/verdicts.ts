import type { SweepAction, Verdict } from './items.ts';
import type { SweepPolicy } from './policy.ts';

export const keep = (reason: string): Verdict => ({ verdict: 'keep', rule: null, reason, action: 'report' });

/** By age alone, when nothing else keeps the item. */
export function byAge(
  policy: SweepPolicy,
  rule: string,
  settings: { readonly retainSeconds: number } | undefined,
  since: string,
  reason: string,
  now: Date,
  action: SweepAction = 'delete',
): Verdict {
  if (settings === undefined) return keep(`no-rule-${rule}`);
  const ageSeconds = (now.getTime() - Date.parse(since)) / 1000;
  if (Number.isNaN(ageSeconds)) return keep('age-unknown');
  if (ageSeconds < 0) return keep('clock-behind-storage');
  if (ageSeconds < policy.minimumAgeSeconds) return keep('younger-than-minimum-age');
  if (ageSeconds < settings.retainSeconds) return keep('within-retention');
  return { verdict: 'mark', rule, reason, action };
}
