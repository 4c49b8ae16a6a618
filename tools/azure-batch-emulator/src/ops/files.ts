import { createReadStream } from 'node:fs';
import { lstat, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, posix, relative, resolve, sep } from 'node:path';
import { header, param, type Backend, type Call, type Operation, type Reply } from '../http/call.ts';
import { checkConditions } from '../http/conditions.ts';
import { filterOf, listReply, pageOf } from '../http/lists.ts';
import { matches } from '../odata/compile.ts';
import { filterTables } from '../odata/properties.ts';
import { nodeRootOf, placeOf } from '../run/environment.ts';
import { within } from '../run/within.ts';
import { httpDate, isoTime } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import { nodeUrl } from './render.ts';
import { taskOf } from './tasks.ts';

interface Root {
  readonly directory: string;
  /** The node's directory: no link leads out of it. */
  readonly node: string;
  /** URL below which the files lie. */
  readonly url: string;
  readonly path: string;
}

/** @throws BatchError TaskFilesUnavailable when the task never ran, TaskFilesCleanedup after its retention time */
function taskRoot(backend: Backend, call: Call): Root {
  const { job, task } = taskOf(backend, call);
  if (task.files_gone === 1) throw refusal('TaskFilesCleanedup');
  if (task.node_id === null || task.pool_id === null) throw refusal('TaskFilesUnavailable');
  const nodeRoot = nodeRootOf(backend.dataDirectory, job.account, task.pool_id, task.node_id);
  const path = `/jobs/${job.id}/tasks/${task.id}/files`;
  return { directory: placeOf(nodeRoot, job.id, task.id).taskDirectory, node: nodeRoot, url: call.base + path, path };
}

function nodeRoot(backend: Backend, call: Call): Root {
  const pool = backend.store.pools.find(call.account, param(call, 'pool'));
  if (pool === undefined) throw refusal('PoolNotFound');
  const node = backend.store.pools.findNode(pool.seq, param(call, 'node'));
  if (node === undefined) throw refusal('NodeNotFound');
  const directory = nodeRootOf(backend.dataDirectory, call.account, pool.id, node.id);
  return {
    directory,
    node: directory,
    url: `${nodeUrl(call, pool.id, node.id)}/files`,
    path: `/pools/${pool.id}/nodes/${node.id}/files`,
  };
}

/** The absolute path of what lies below the root (not the root itself). @throws BatchError FileNotFound */
function below(root: Root, name: string): string {
  const file = resolve(root.directory, name);
  if (name.includes('\0') || !file.startsWith(root.directory + sep)) throw refusal('FileNotFound');
  return file;
}

const fileMode = (mode: number): string => `0o${mode.toString(8)}`;

function contentType(name: string): string {
  const known: Readonly<Record<string, string>> = {
    '.txt': 'text/plain',
    '.log': 'text/plain',
    '.json': 'application/json',
    '.xml': 'text/xml',
    '.csv': 'text/csv',
  };
  return known[posix.extname(name).toLowerCase()] ?? 'application/octet-stream';
}

function lister(rootOf: (backend: Backend, call: Call) => Root): Operation {
  return async (backend, call) => {
    const root = rootOf(backend, call);
    const filter = filterOf(call, filterTables.files);
    const page = pageOf(call);
    const recursive = call.query.get('recursive') === 'true';
    const entries = await readdir(root.directory, { withFileTypes: true, recursive }).catch(() => []);
    const names = entries
      .map((entry) => ({
        entry,
        name: relative(root.directory, join(entry.parentPath, entry.name)).split(sep).join('/'),
      }))
      .filter(({ name }) => filter === undefined || matches(filter, filterTables.files, { name }))
      .sort((left, right) => (left.name < right.name ? -1 : 1))
      .map((item, index) => ({ ...item, number: index + 1 }))
      .slice(page.after, page.after + page.size + 1);
    const rows = await Promise.all(
      names.map(async (item) => {
        const file = await within(root.node, join(root.directory, item.name));
        const info = file === undefined ? undefined : await stat(file).catch(() => undefined);
        return { ...item, info };
      }),
    );
    return listReply(
      call,
      root.path,
      'files',
      page,
      rows,
      (row) => row.number,
      ({ name, entry, info }) => ({
        name,
        url: `${root.url}/${name.split('/').map(encodeURIComponent).join('/')}`,
        isDirectory: entry.isDirectory(),
        ...(entry.isDirectory() || info === undefined
          ? {}
          : {
              properties: {
                creationTime: isoTime(Math.floor(info.birthtimeMs * 1000)),
                lastModified: isoTime(Math.floor(info.mtimeMs * 1000)),
                contentLength: String(info.size),
                contentType: contentType(name),
                fileMode: fileMode(info.mode),
              },
            }),
      }),
    );
  };
}

/** The bytes that `ocp-range: bytes=a-b` asks for; both ends inclusive. @throws BatchError InvalidRange */
export function rangeOf(text: string | undefined, size: number): { readonly start: number; readonly end: number } {
  if (text === undefined) return { start: 0, end: size - 1 };
  const found = /^bytes=(\d+)-(\d*)$/.exec(text.trim());
  if (found === null) throw refusal('InvalidHeaderValue', { HeaderName: 'ocp-range', HeaderValue: text });
  const start = Number(found[1]);
  const end = found[2] === '' ? size - 1 : Math.min(Number(found[2]), size - 1);
  if (start >= size || end < start) throw refusal('InvalidRange');
  return { start, end };
}

function reader(rootOf: (backend: Backend, call: Call) => Root, withBody: boolean): Operation {
  return async (backend, call): Promise<Reply> => {
    const root = rootOf(backend, call);
    const name = param(call, 'file');
    const file = await within(root.node, below(root, name));
    const info = file === undefined ? undefined : await stat(file).catch(() => undefined);
    if (file === undefined || info === undefined) throw refusal('FileNotFound');
    checkConditions(call, Math.floor(info.mtimeMs * 1000), 'read');
    if (withBody && info.isDirectory()) throw refusal('FileNotFound');
    const size = info.isDirectory() ? 0 : info.size;
    const range = withBody ? rangeOf(header(call, 'ocp-range'), size) : { start: 0, end: size - 1 };
    const length = Math.max(0, range.end - range.start + 1);
    const headers = {
      'content-type': contentType(name),
      'content-length': String(length),
      'last-modified': httpDate(Math.floor(info.mtimeMs * 1000)),
      'ocp-batch-file-isdirectory': info.isDirectory() ? 'True' : 'False',
      'ocp-batch-file-url': encodeURIComponent(`${root.url}/${name}`),
      'ocp-batch-file-mode': fileMode(info.mode),
      'ocp-creation-time': httpDate(Math.floor(info.birthtimeMs * 1000)),
    };
    if (!withBody || length === 0) return { status: 200, headers };
    return { status: 200, headers, stream: createReadStream(file, range) };
  };
}

function remover(rootOf: (backend: Backend, call: Call) => Root): Operation {
  return async (backend, call) => {
    const root = rootOf(backend, call);
    const file = below(root, param(call, 'file'));
    // A link is removed, never what it leads to.
    const info =
      (await within(root.node, dirname(file))) === undefined ? undefined : await lstat(file).catch(() => undefined);
    if (info === undefined) throw refusal('FileNotFound');
    const recursive = call.query.get('recursive') === 'true';
    if (info.isDirectory() && !recursive && (await readdir(file)).length > 0) {
      throw refusal('OperationInvalidForCurrentState', { Reason: 'the directory is not empty and recursive is false' });
    }
    await rm(file, { recursive: true, force: true });
    return { status: 200 };
  };
}

export const taskFiles = {
  list: lister(taskRoot),
  get: reader(taskRoot, true),
  head: reader(taskRoot, false),
  remove: remover(taskRoot),
};
export const nodeFiles = {
  list: lister(nodeRoot),
  get: reader(nodeRoot, true),
  head: reader(nodeRoot, false),
  remove: remover(nodeRoot),
};
