import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { ConfigError } from './config.ts';
import { configMarkdown, envNameOf, loadConfig, redactConfig } from './config.ts';

const schema = z.object({
  hubName: z.string().min(1).describe('hub to read'),
  accountKey: z.string().meta({ secret: true, description: 'key' }),
  pollIntervalMs: z.int().min(1).default(250),
  tags: z.array(z.string()).default([]),
  enabled: z.boolean().default(false),
  secretList: z.array(z.string()).optional().meta({ secret: true }),
});

describe('loadConfig', () => {
  it('reads text, numbers, booleans and lists from the environment', () => {
    const env = {
      XVA_HUB_NAME: '123',
      XVA_ACCOUNT_KEY: 'k',
      XVA_POLL_INTERVAL_MS: '5',
      XVA_TAGS: '["a"]',
      XVA_ENABLED: 'true',
    };
    expect(loadConfig(schema, { env })).toEqual({
      hubName: '123',
      accountKey: 'k',
      pollIntervalMs: 5,
      tags: ['a'],
      enabled: true,
    });
  });

  it('names every bad, missing and unknown setting at once', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'xva-config-')), 'c.json');
    writeFileSync(file, JSON.stringify({ pollIntervalMs: 0, hubNam: 'x', enabled: 'perhaps' }));
    let issues: readonly string[] = [];
    try {
      loadConfig(schema, { env: { XVA_TAGS: 'no list' }, file });
    } catch (error) {
      issues = (error as ConfigError).issues;
    }
    for (const name of [
      'hubNam:',
      'hubName (XVA_HUB_NAME): is required',
      'XVA_ACCOUNT_KEY',
      'XVA_POLL_INTERVAL_MS',
      'XVA_TAGS',
      'XVA_ENABLED',
    ]) {
      expect(issues.join('\n')).toContain(name);
    }
    expect(issues).toHaveLength(6);
  });

  it('lets the environment win over the file and refuses a file that is no object', () => {
    const folder = mkdtempSync(join(tmpdir(), 'xva-config-'));
    writeFileSync(join(folder, 'c.json'), JSON.stringify({ hubName: 'file', accountKey: 'k' }));
    writeFileSync(join(folder, 'bad.json'), '[1]');
    expect(loadConfig(schema, { env: { XVA_HUB_NAME: 'env' }, file: join(folder, 'c.json') }).hubName).toBe('env');
    expect(() => loadConfig(schema, { env: {}, file: join(folder, 'bad.json') })).toThrow(/one JSON object/);
    expect(() => loadConfig(schema, { env: {}, file: join(folder, 'none.json') })).toThrow(/cannot be read/);
  });

  it('redacts secrets, also behind optional and default, and documents every setting', () => {
    const shown = redactConfig(schema, { hubName: 'h', accountKey: 'very-secret', secretList: ['s'] });
    expect(JSON.stringify(shown)).not.toMatch(/very-secret|"s"/);
    expect(configMarkdown(schema)).toContain('| `pollIntervalMs` | `XVA_POLL_INTERVAL_MS` | `250` |');
    expect(configMarkdown(schema)).toContain('hub to read');
    expect(configMarkdown(schema)).toContain('| `secretList` | `XVA_SECRET_LIST` |  | (secret) |');
    expect(envNameOf('batchURLPrefix')).toBe('XVA_BATCH_URLPREFIX');
  });
});
