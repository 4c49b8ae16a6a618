import type { PollingDefinition } from '../definition/schema.ts';

export type PollingWindow = PollingDefinition['window'];

/** What one poll found: rows, nothing, or a source, store or hub that did not answer. */
export type PollFinding = 'rows' | 'nothing' | 'trouble';

export interface WindowState {
  readonly startedAtMs: number;
  readonly delayMs: number;
  readonly sawRows: boolean;
}

export function openWindow(window: PollingWindow, nowMs: number): WindowState {
  return { startedAtMs: nowMs, delayMs: window.minDelayMs, sawRows: false };
}

const longestTroubleDelayMs = 30_000;

/**
 * What to do after a poll: ask again after `waitMs`, or end the window. Rows are followed by another poll at once, since
 * more may wait; after nothing the delay grows by half up to `maxDelayMs`; after trouble it doubles up to 30 s. The
 * jitter (up to a fifth less) keeps replicas from asking in step.
 */
export function afterPoll(
  window: PollingWindow,
  state: WindowState,
  finding: PollFinding,
  nowMs: number,
  random: () => number,
): { readonly next: 'poll'; readonly waitMs: number; readonly state: WindowState } | { readonly next: 'end' } {
  const sawRows = state.sawRows || finding === 'rows';
  if (finding === 'nothing' && sawRows && window.until === 'rows') return { next: 'end' };
  const leftMs = state.startedAtMs + window.lengthMs - nowMs;
  // Full batches are worked off even when the window is over: more rows wait.
  if (finding === 'rows') return { next: 'poll', waitMs: 0, state: { ...state, delayMs: window.minDelayMs, sawRows } };
  if (leftMs <= 0) return { next: 'end' };
  const waitMs = Math.min(leftMs, Math.round(state.delayMs * (1 - random() / 5)));
  const grown =
    finding === 'nothing'
      ? Math.min(window.maxDelayMs, Math.ceil(state.delayMs * 1.5))
      : Math.min(longestTroubleDelayMs, Math.max(250, state.delayMs * 2));
  return { next: 'poll', waitMs, state: { ...state, delayMs: grown, sawRows } };
}
