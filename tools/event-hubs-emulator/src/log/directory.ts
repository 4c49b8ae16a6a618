import { constants } from 'node:fs';
import { mkdir, open, readdir, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** One append-only file of a partition's log. */
export interface SegmentFile {
  readonly size: number;
  /** Appends and resolves once the bytes are on disk. On failure nothing may be assumed: truncate before going on. */
  append(bytes: Buffer): Promise<void>;
  /** Up to `length` bytes from `at`; fewer only at the end of the file. */
  read(at: number, length: number): Promise<Buffer>;
  truncate(size: number): Promise<void>;
  /** Nothing is appended any more: what it takes to write is let go, so that a long log does not use up open files. */
  seal(): Promise<void>;
  /** Makes sure that what was found in the file at recovery is on disk, before anybody sees it. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The one store interface beneath a partition's log: a directory of segments. */
export interface SegmentDirectory {
  list(): Promise<readonly string[]>;
  open(name: string): Promise<SegmentFile>;
  create(name: string, firstBytes: Buffer): Promise<SegmentFile>;
  remove(name: string): Promise<void>;
}

class DiskSegment implements SegmentFile {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #size: number;

  constructor(path: string, handle: FileHandle, size: number) {
    this.#path = path;
    this.#handle = handle;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  async append(bytes: Buffer): Promise<void> {
    const handle = this.#writable();
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, this.#size + written);
      written += bytesWritten;
    }
    await handle.datasync();
    this.#size += bytes.length;
  }

  async read(at: number, length: number): Promise<Buffer> {
    if (this.#handle !== undefined) return readFrom(this.#handle, at, Math.min(length, this.#size - at));
    const handle = await open(this.#path, 'r');
    try {
      return await readFrom(handle, at, Math.min(length, this.#size - at));
    } finally {
      await handle.close();
    }
  }

  async truncate(size: number): Promise<void> {
    const handle = this.#writable();
    await handle.truncate(size);
    await handle.datasync();
    this.#size = size;
  }

  async seal(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async sync(): Promise<void> {
    await this.#writable().datasync();
  }

  async close(): Promise<void> {
    await this.seal();
  }

  #writable(): FileHandle {
    if (this.#handle === undefined) throw new Error(`${this.#path} is sealed`);
    return this.#handle;
  }
}

async function readFrom(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const wanted = Math.max(0, length);
  const buffer = Buffer.allocUnsafe(wanted);
  let filled = 0;
  while (filled < wanted) {
    const { bytesRead } = await handle.read(buffer, filled, wanted - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** A directory on disk. Creating and removing segments is made durable by syncing the directory itself. */
export async function openDiskDirectory(path: string): Promise<SegmentDirectory> {
  await mkdir(path, { recursive: true });
  const syncDirectory = async (): Promise<void> => {
    const handle = await open(path, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  };
  return {
    list: async () => (await readdir(path)).filter((name) => name.endsWith('.log')).sort(),
    open: async (name) => {
      const handle = await open(join(path, name), 'r+');
      return new DiskSegment(join(path, name), handle, (await handle.stat()).size);
    },
    create: async (name, firstBytes) => {
      const handle = await open(join(path, name), 'w+');
      try {
        const segment = new DiskSegment(join(path, name), handle, 0);
        await segment.append(firstBytes);
        await syncDirectory();
        return segment;
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    remove: async (name) => {
      await unlink(join(path, name));
      await syncDirectory();
    },
  };
}

/** A directory in memory: for runs without a data directory, and for tests, which cut and damage `files` at will. */
export class MemoryDirectory implements SegmentDirectory {
  readonly files = new Map<string, Buffer>();

  list(): Promise<readonly string[]> {
    return Promise.resolve([...this.files.keys()].sort());
  }

  open(name: string): Promise<SegmentFile> {
    if (!this.files.has(name)) return Promise.reject(new Error(`no segment ${name}`));
    return Promise.resolve(new MemorySegment(this, name));
  }

  create(name: string, firstBytes: Buffer): Promise<SegmentFile> {
    this.files.set(name, Buffer.from(firstBytes));
    return Promise.resolve(new MemorySegment(this, name));
  }

  remove(name: string): Promise<void> {
    this.files.delete(name);
    return Promise.resolve();
  }
}

/** Grows its buffer by doubling; the map always holds a view of exactly the bytes written. */
class MemorySegment implements SegmentFile {
  readonly #directory: MemoryDirectory;
  readonly #name: string;
  #room: Buffer;
  #size: number;

  constructor(directory: MemoryDirectory, name: string) {
    this.#directory = directory;
    this.#name = name;
    this.#room = directory.files.get(name) ?? Buffer.alloc(0);
    this.#size = this.#room.length;
  }

  get size(): number {
    return this.#size;
  }

  append(bytes: Buffer): Promise<void> {
    const needed = this.#size + bytes.length;
    if (needed > this.#room.length) {
      const larger = Buffer.alloc(Math.max(needed, this.#room.length * 2));
      this.#room.copy(larger, 0, 0, this.#size);
      this.#room = larger;
    }
    bytes.copy(this.#room, this.#size);
    return this.#resize(needed);
  }

  read(at: number, length: number): Promise<Buffer> {
    return Promise.resolve(this.#room.subarray(at, Math.min(at + length, this.#size)));
  }

  truncate(size: number): Promise<void> {
    return this.#resize(size);
  }

  seal(): Promise<void> {
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #resize(size: number): Promise<void> {
    this.#size = size;
    this.#directory.files.set(this.#name, this.#room.subarray(0, size));
    return Promise.resolve();
  }
}
