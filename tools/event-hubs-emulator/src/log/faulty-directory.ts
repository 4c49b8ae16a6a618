import type { FaultAction } from '@xva/emulator-kit';
import type { SegmentDirectory, SegmentFile } from './directory.ts';

/** What a disk can be asked to do, as fault rules name it. */
export type DiskOperation = 'write' | 'sync' | 'create' | 'read' | 'remove';

/** The error that a disk would give; `errno` such as ENOSPC, EIO or EMFILE is its code and begins its text. */
export class DiskFaultError extends Error {
  readonly code: string;

  constructor(errno: string, operation: DiskOperation) {
    super(`${errno}: fault rule, ${operation}`);
    this.name = 'DiskFaultError';
    this.code = errno;
  }
}

/**
 * A directory whose operations fail when a fault rule says so. A failing `write` leaves `bytes` of what was to be written
 * behind (default half of it), as a full disk does; a failing `sync` leaves all of it, durable or not. The action `crash`
 * ends the process at that very point instead (`crash`, which does not come back).
 */
export function withFaults(
  inner: SegmentDirectory,
  take: (operation: DiskOperation) => FaultAction | undefined,
  crash: (() => Promise<never>) | undefined,
): SegmentDirectory {
  const fail = async (fault: FaultAction, operation: DiskOperation): Promise<never> => {
    if (fault.kind === 'crash' && crash !== undefined) await crash();
    throw toError(fault, operation);
  };
  const check = async (operation: DiskOperation): Promise<void> => {
    const fault = take(operation);
    if (fault !== undefined) await fail(fault, operation);
  };
  const wrap = (file: SegmentFile): SegmentFile => ({
    get size() {
      return file.size;
    },
    append: async (bytes) => {
      const fault = take('write');
      if (fault !== undefined) {
        const kept = Number(fault['bytes'] ?? Math.floor(bytes.length / 2));
        await file.append(bytes.subarray(0, kept));
        await fail(fault, 'write');
      }
      await file.append(bytes);
      await check('sync');
    },
    read: async (at, length) => {
      await check('read');
      return file.read(at, length);
    },
    truncate: async (size) => {
      await check('sync');
      await file.truncate(size);
    },
    seal: () => file.seal(),
    sync: () => file.sync(),
    close: () => file.close(),
  });
  return {
    list: () => inner.list(),
    open: async (name) => wrap(await inner.open(name)),
    create: async (name, firstBytes) => {
      await check('create');
      return wrap(await inner.create(name, firstBytes));
    },
    remove: async (name) => {
      await check('remove');
      await inner.remove(name);
    },
  };
}

function toError(fault: FaultAction, operation: DiskOperation): DiskFaultError {
  const errno = typeof fault['errno'] === 'string' ? fault['errno'] : 'EIO';
  return new DiskFaultError(errno, operation);
}
