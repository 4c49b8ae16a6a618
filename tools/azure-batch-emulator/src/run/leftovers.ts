import { readdirSync, readFileSync } from 'node:fs';
import { killGroup, startTimeOf } from './process.ts';

export const markerName = 'AZ_BATCH_EMULATOR_INSTANCE';

/** Process groups whose environment carries this state's marker (Linux: /proc). */
function markedGroups(instance: string): readonly number[] {
  const groups = new Set<number>();
  let pids: string[] = [];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  for (const pid of pids) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      if (!environment.split('\0').includes(`${markerName}=${instance}`)) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      groups.add(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]));
    } catch {
      // The process ended while we looked, or is not ours to read: neither is a leftover of this state.
    }
  }
  groups.delete(0);
  return [...groups];
}

/**
 * Kills what tasks of an earlier life left running, before they are requeued: two runs of one task must not overlap.
 *
 * A recorded group is killed only when its leader's start time is the recorded one, so a recycled pid is safe; the
 * marker in the environment also finds processes that were started but not yet recorded, or that left their group.
 */
export function killLeftovers(
  instance: string,
  recorded: readonly { readonly pgid: number | null; readonly pgid_start: string | null }[],
): number {
  let killed = 0;
  for (const { pgid, pgid_start: start } of recorded) {
    if (pgid === null || start === null || start === '' || startTimeOf(pgid) !== start) continue;
    killGroup(pgid);
    killed += 1;
  }
  for (const group of markedGroups(instance)) {
    killGroup(group);
    killed += 1;
  }
  return killed;
}
