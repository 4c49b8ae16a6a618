import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url));

/** The sets of Python packages of `tools/workspace/python-clients`; `npm test`, `test:soak` and `bench` install them. */
export type PythonClient =
  'azure-batch-14' | 'azure-batch-15' | 'azure-eventhub' | 'azure-storage-blob' | 'schemathesis' | 'sql';

/** The interpreter and the environment under which one set can be imported. @throws Error when it is not installed. */
export function pythonClient(name: PythonClient): { readonly python: string; readonly env: { PYTHONPATH: string } } {
  const python = join(repositoryRoot, '.venv/bin/python');
  const folder = join(repositoryRoot, '.venv/clients', name);
  if (!existsSync(python) || !existsSync(folder)) {
    throw new Error(`the Python client ${name} is not installed: run npm test (or node tools/bootstrap.mjs test) once`);
  }
  return { python, env: { PYTHONPATH: folder } };
}
