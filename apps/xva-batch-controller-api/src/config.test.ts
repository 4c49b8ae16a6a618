import { readFileSync } from 'node:fs';
import type { ConfigError } from '@xva/runtime';
import { configMarkdown, loadConfig } from '@xva/runtime';
import { configSchema } from './config.ts';

const env = {
  XVA_WORK_CONNECTION_STRING: 'w',
  XVA_LEDGER_CONNECTION_STRING: 'l',
  XVA_BATCH_URL: 'https://a.westeurope.batch.azure.com',
  XVA_BATCH_ACCOUNT: 'a',
  XVA_POOL_ID: 'pool',
};

describe('configuration', () => {
  it('needs one way to each account, and says which is missing', () => {
    expect(loadConfig(configSchema, { env })).toMatchObject({ pollMs: 1000, engineCommand: 'xva-engine', apiKeys: [] });
    const both = {
      ...env,
      XVA_WORK_ACCOUNT_URL: 'https://w.blob.core.windows.net',
      XVA_LEDGER_CONNECTION_STRING: undefined,
    };
    let issues: readonly string[] = [];
    try {
      loadConfig(configSchema, { env: both });
    } catch (error) {
      issues = (error as ConfigError).issues;
    }
    expect(issues).toEqual([
      expect.stringContaining('give exactly one of workConnectionString and workAccountUrl'),
      expect.stringContaining('ledgerConnectionString'),
    ]);
  });

  it('is documented as it is', () => {
    const page = readFileSync(new URL('../../../docs/components/xva-batch-controller-api.md', import.meta.url), 'utf8');
    expect(page).toContain(configMarkdown(configSchema));
  });
});
