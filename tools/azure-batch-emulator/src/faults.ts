import type { FaultAction } from '@xva/emulator-kit';

/** A text field of a fault's action; anything else than text or a number counts as absent. */
export function textOf(action: FaultAction, field: string, fallback: string): string {
  const value = action[field];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : fallback;
}

export function numberOf(action: FaultAction, field: string, fallback: number): number {
  const value = Number(action[field] ?? fallback);
  return Number.isFinite(value) ? value : fallback;
}
