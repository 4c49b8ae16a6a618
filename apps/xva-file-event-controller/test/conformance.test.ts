import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { trialBook } from '@xva/testkit';
import { conformanceCommand } from '../src/conformance/command.ts';
import { checkNames, runSuite } from '../src/conformance/run-suite.ts';
import { ConformingStub, stubKey, stubLimitBytes } from './conforming-stub.ts';

const book = trialBook(
  'Input API conformance: what each check catches',
  'docs/trials/event-controller-conformance.md',
  'apps/xva-file-event-controller/test/conformance.test.ts',
);
const request: unknown = JSON.parse(
  readFileSync(new URL('../src/conformance/sample-request.json', import.meta.url), 'utf8'),
);

async function command(args: readonly string[], key: string | undefined): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const code = await conformanceCommand({ args, env: { XVA_INPUT_API_KEY: key }, print, complain: print });
  return { code, lines };
}

describe('against the reference implementation', () => {
  const key = 'conformance-key-0123456789';
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'xva-input-api-'));
  let api: ChildProcess;
  let url = '';

  beforeAll(async () => {
    const args = [
      '-m',
      'xva_engine',
      'input-api',
      '--port',
      '0',
      '--data',
      folder,
      '--workers',
      '1',
      '--exit-with-parent',
    ];
    const child = spawn(join(root, '.venv/bin/python'), args, {
      env: { PATH: process.env['PATH'] ?? '', XVA_INPUT_API_KEY: key },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    api = child;
    const line = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', resolve);
      child.once('exit', (code) => reject(new Error(`the input API ended with ${code ?? 'a signal'}`)));
    });
    url = (JSON.parse(line) as { endpoints: { http: string } }).endpoints.http;
  });

  afterAll(async () => {
    const over = new Promise((resolve) => api.once('exit', resolve));
    api.kill('SIGKILL');
    await over;
    rmSync(folder, { recursive: true, force: true });
  });

  it('all checks pass, and the command says so', async () => {
    const { code, lines } = await command(['--url', url], key);
    expect(lines.filter((line) => !line.startsWith('ok   '))).toEqual([`${checkNames.length} passed, 0 failed`]);
    expect(code).toBe(0);
  });

  it('a wrong key fails what needs one, and the command ends with 1', async () => {
    const { code, lines } = await command(
      ['--url', url, '--only', 'package-created,key-required', '--json'],
      'another',
    );
    expect(code).toBe(1);
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ passed: 1, failed: 1 });
  });
});

describe('against an implementation with one fault', () => {
  const stub = new ConformingStub();
  const options = () => ({
    url: stub.url,
    apiKey: stubKey,
    request,
    deadlineMs: 5_000,
    tooLargeBytes: 2 * stubLimitBytes,
  });

  beforeAll(() => stub.start());
  afterAll(() => stub.stop());

  it('none of the checks fails when there is no fault', async () => {
    stub.reset('');
    const results = await runSuite(options(), () => undefined);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    book.record({ section: 'faults', name: 'none', observed: 'all checks pass' });
  });

  it.each(checkNames)('a fault in %s is caught by that check', async (name) => {
    stub.reset(name);
    // With what the check needs to have happened before: the first answer.
    const [result] = await runSuite(options(), () => undefined, [name]);
    expect(result).toMatchObject({ name, ok: false });
    expect(result?.detail).not.toContain('no usable answer');
    const shown = (result?.detail ?? '').replaceAll(/[0-9a-f]{32,}/g, '…').replaceAll(/\s+/g, ' ');
    book.record({ section: 'faults', name: `\`${name}\``, observed: shown.slice(0, 150) });
  });

  it('its page says what was tried', () => book.close());
});

describe('the command', () => {
  it.each<[string, readonly string[], string]>([
    ['no address', [], '--url must be'],
    ['an address that is none', ['--url', 'file:///etc/passwd'], '--url must be an http or https address'],
    ['an option that does not exist', ['--url', 'http://127.0.0.1:1', '--loud'], "Unknown option '--loud'"],
    ['a check that does not exist', ['--url', 'http://127.0.0.1:1', '--only', 'nope'], 'no check is called nope'],
    [
      'a file that is not there',
      ['--url', 'http://127.0.0.1:1', '--request', '/nowhere.json'],
      '--request /nowhere.json',
    ],
    ['a size that is none', ['--url', 'http://127.0.0.1:1', '--too-large-mib=-1'], '--too-large-mib must be'],
  ])('%s is one clear error and exit code 2', async (_what, args, text) => {
    const { code, lines } = await command(args, 'key');
    expect(code).toBe(2);
    expect(lines.join('\n')).toContain(text);
  });

  it('wants a key', async () => {
    const { code, lines } = await command(['--url', 'http://127.0.0.1:1'], undefined);
    expect(code).toBe(2);
    expect(lines[0]).toContain('XVA_INPUT_API_KEY');
  });

  it('says of an address where nobody listens that there was no usable answer, for every check', async () => {
    const { code, lines } = await command(['--url', 'http://127.0.0.1:1', '--deadline-ms', '1000'], 'key');
    expect(code).toBe(1);
    expect(lines.at(-1)).toBe(`0 passed, ${checkNames.length} failed`);
    expect(lines[0]).toContain('no usable answer');
  });

  it('lists what it holds an implementation to', async () => {
    const { code, lines } = await command(['--list'], undefined);
    expect(code).toBe(0);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(checkNames);
  });
});
