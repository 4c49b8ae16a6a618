import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { CliError, runCli, type CliDefinition, type CliHost } from './cli.ts';

const configSchema = z.object({ shutdownGraceTimeMs: z.int().default(50), token: z.string().meta({ secret: true }) });

interface Recorded {
  readonly host: CliHost;
  out: string;
  err: string;
  code: number | undefined;
  forced: number | undefined;
  signal: (name: string) => void;
}

function record(args: string[], env: Record<string, string> = { XVA_TOKEN: 'hush' }): Recorded {
  const recorded: Recorded = {
    out: '',
    err: '',
    code: undefined,
    forced: undefined,
    signal: () => undefined,
    host: {
      argv: ['node', 'app', ...args],
      env,
      stdout: { write: (text) => (recorded.out += text) },
      stderr: { write: (text) => (recorded.err += text) },
      onStopSignal: (handler) => {
        recorded.signal = handler;
        return () => undefined;
      },
      setExitCode: (code) => (recorded.code = code),
      forceExit: (code) => (recorded.forced = code),
    },
  };
  return recorded;
}

const breaths: string[] = [];
const definition: CliDefinition<typeof configSchema> = {
  name: 'app',
  version: '1.2.3',
  description: 'an app',
  configSchema,
  checks: async () => ({
    checks: [
      { name: 'good', run: async () => 'fine' },
      { name: 'bad', run: () => Promise.reject(new Error('unreachable')) },
    ],
    close: async () => undefined,
  }),
  verbs: [
    {
      name: 'run',
      description: 'serve',
      run: async ({ lifecycle }) => {
        await new Promise<void>((resolve) => lifecycle.stopTaking.addEventListener('abort', () => resolve()));
        breaths.push('taking stopped');
        await new Promise<void>((resolve) => lifecycle.stopWorking.addEventListener('abort', () => resolve()));
        breaths.push('working stopped');
      },
    },
    {
      name: 'show',
      description: 'show',
      args: [{ name: '<id>', description: 'id' }],
      run: async ({ output }, [id]) => {
        if (id === 'none') throw new CliError('no such id: none', 5);
        output({ id }, `id ${id ?? ''}`);
      },
    },
  ],
};

describe('runCli', () => {
  it('prints results on stdout, as text or JSON', async () => {
    const text = record(['show', 'a']);
    await runCli(definition, text.host);
    const json = record(['--json', 'show', 'a']);
    await runCli(definition, json.host);
    expect([text.out, json.out, json.code]).toEqual(['id a\n', '{"id":"a"}\n', 0]);
  });

  it.each([
    [['show'], {}, 2],
    [['nonsense'], {}, 2],
    [['--version'], {}, 0],
    [['--help'], {}, 0],
    [['show', 'none'], { XVA_TOKEN: 'hush' }, 5],
    [['show', 'a'], {}, 3],
    [['--log-level', 'loud', 'show', 'a'], { XVA_TOKEN: 'hush' }, 2],
  ])('%p with %p exits with %p', async (args, env, code) => {
    const recorded = record(args, env);
    await runCli(definition, recorded.host);
    expect(recorded.code).toBe(code);
  });

  it('check prints the configuration without secrets and fails by naming what is not ready', async () => {
    const recorded = record(['check']);
    await runCli(definition, recorded.host);
    expect(recorded.out).toContain('[redacted]');
    expect(recorded.out + recorded.err).not.toContain('hush');
    expect(recorded.out).toContain('FAIL bad: unreachable');
    expect(recorded.err).toContain('not ready: bad');
    expect(recorded.code).toBe(4);
  });

  it('stops in two breaths, and a second signal forces', async () => {
    breaths.length = 0;
    const recorded = record(['run']);
    const running = runCli(definition, recorded.host);
    await delay(0);
    recorded.signal('SIGTERM');
    await running;
    expect(breaths).toEqual(['taking stopped', 'working stopped']);
    expect([recorded.code, recorded.forced]).toEqual([0, undefined]);
    const again = record(['run']);
    const second = runCli(definition, again.host);
    await delay(0);
    again.signal('SIGTERM');
    again.signal('SIGTERM');
    expect(again.forced).toBe(130);
    await second;
  });
});
