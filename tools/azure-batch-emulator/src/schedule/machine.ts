import { readFileSync, statfsSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';

interface Counters {
  readonly busy: number;
  readonly total: number;
  readonly values: Readonly<Record<string, number>>;
}

function lines(file: string): readonly (readonly string[])[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/[\s:]+/));
  } catch {
    return [];
  }
}

const sectorBytes = 512;

/** What the machine has done since it booted; disk and network from /proc, nothing where there is none. */
function countersNow(): Counters {
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.irq + times.idle;
    total += sum;
    busy += sum - times.idle;
  }
  const disks = lines('/proc/diskstats').filter(([, , name]) =>
    /^(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+)$/.test(name ?? ''),
  );
  const nets = lines('/proc/net/dev').filter(([name, ...rest]) => rest.length >= 16 && name !== 'lo');
  const sum = (rows: readonly (readonly string[])[], at: number): number =>
    rows.reduce((total, row) => total + Number(row[at] ?? 0), 0);
  return {
    busy,
    total,
    values: {
      DiskReadOps: sum(disks, 3),
      DiskReadBytes: sum(disks, 5) * sectorBytes,
      DiskWriteOps: sum(disks, 7),
      DiskWriteBytes: sum(disks, 9) * sectorBytes,
      NetworkInBytes: sum(nets, 1),
      NetworkOutBytes: sum(nets, 9),
    },
  };
}

/** Measures this machine, which all nodes share: since the last call for what counts up, now for the rest. */
export class Machine {
  #last = countersNow();

  measure(directory: string): Record<string, number> {
    const last = this.#last;
    const now = countersNow();
    this.#last = now;
    const spent = now.total - last.total;
    const { bsize, blocks, bfree } = statfsSync(directory);
    return {
      CPUPercent: spent > 0 ? (now.busy - last.busy) / spent : 0,
      MemoryBytes: (totalmem() - freemem()) / 1024 ** 2,
      DiskBytes: ((blocks - bfree) * bsize) / 1024 ** 3,
      ...Object.fromEntries(
        Object.entries(now.values).map(([name, value]) => [name, Math.max(0, value - (last.values[name] ?? 0))]),
      ),
    };
  }
}
