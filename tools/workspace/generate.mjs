import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** `npm run generate`: writes every generated file (JSON Schemas, config tables, OpenAPI) from its source. */
const root = fileURLToPath(new URL('../../', import.meta.url));
const steps = ['libs/xva-contracts/src/generate.ts', 'tools/workspace/generate-docs.ts'];
for (const step of steps) {
  const args = ['--conditions=@xva/source', '--disable-warning=ExperimentalWarning', step];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
const calendars = spawnSync('.venv/bin/python', ['libs/sql-polling/calendars/generate.py'], {
  cwd: root,
  stdio: 'inherit',
});
if (calendars.status !== 0) process.exit(calendars.status ?? 1);
