import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCli, type CliHost } from '@xva/runtime';
import { parseDefinitions } from '@xva/sql-polling';
import { readFileSync } from 'node:fs';
import { definition } from '../src/definition.ts';

const example = fileURLToPath(new URL('../examples/polling.yaml', import.meta.url));

async function call(argv: readonly string[], env: Record<string, string> = {}) {
  const out: string[] = [];
  let code: number | undefined;
  const host: CliHost = {
    argv: ['node', 'xva-db-integrator', ...argv],
    env: {
      XVA_DEFINITIONS_FILE: example,
      XVA_SQL_SERVER: '127.0.0.1',
      XVA_SQL_PORT: '1',
      XVA_SQL_DATABASE: 'xva',
      XVA_SQL_USER: 'u',
      XVA_SQL_PASSWORD: 'hush-hush',
      XVA_SQL_ENCRYPT: 'false',
      XVA_SQL_CONNECT_TIMEOUT_MS: '1000',
      XVA_WORK_CONNECTION_STRING: 'UseDevelopmentStorage=true',
      XVA_HUB_CONNECTION_STRING:
        'Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;',
      ...env,
    },
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => out.push(text) },
    onStopSignal: () => () => undefined,
    setExitCode: (value) => (code = value),
    forceExit: () => undefined,
  };
  await runCli(definition, host);
  return { text: out.join(''), code };
}

describe('the command line', () => {
  it('shows the configuration without its secrets', async () => {
    const { text, code } = await call(['config']);
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ sqlEncrypt: 'false', sqlPassword: '[redacted]', rowConcurrency: 4 });
    expect(text).not.toContain('hush-hush');
  });

  it('encrypts unless told otherwise', async () => {
    const { text } = await call(['config'], { XVA_SQL_ENCRYPT: '' });
    expect(JSON.parse(text)).toMatchObject({ sqlEncrypt: 'true', sqlTrustServerCertificate: false });
  });

  it('names every bad value at once', async () => {
    const { text, code } = await call(['run'], {
      XVA_SQL_PORT: 'x',
      XVA_ROW_CONCURRENCY: '0',
      XVA_SQL_ENCRYPT: 'maybe',
    });
    expect(code).toBe(3);
    for (const name of ['XVA_SQL_PORT', 'XVA_ROW_CONCURRENCY', 'XVA_SQL_ENCRYPT']) expect(text).toContain(name);
  });

  it('refuses a bad definition file by line, as a bad configuration', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'xva-definitions-'));
    const file = join(folder, 'polling.yaml');
    writeFileSync(file, 'version: 1\ndefinitions:\n  - name: a\n    mode: rowversion\n');
    const { text, code } = await call(['once'], { XVA_DEFINITIONS_FILE: file });
    rmSync(folder, { recursive: true });
    expect(code).toBe(3);
    expect(text).toContain('polling.yaml:3: definitions[0].start: must be said: now');
  });

  it('once says that the database is not there, with its own exit code', async () => {
    const { text, code } = await call(['once', '--definition', 'run-requests']);
    expect(code).toBe(4);
    expect(text).toContain('run-requests: trouble');
    expect((await call(['once', '--definition', 'nothing'])).code).toBe(5);
  });

  it('has an example whose settings are the defaults that it says', () => {
    const [shown] = parseDefinitions(readFileSync(example, 'utf8'), example);
    const [bare] = parseDefinitions('version: 1\ndefinitions:\n  - { name: run-requests, mode: outbox }\n', 'bare');
    expect({ ...shown, schedule: { ...shown!.schedule, timezone: 'UTC' } }).toEqual(bare);
  });
});
