import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchemaText, publishedContracts } from './json-schemas.ts';

const folder = fileURLToPath(new URL('../schemas/', import.meta.url));

describe('generated JSON Schemas', () => {
  it.each(Object.keys(publishedContracts))('%s on disk is what zod says (else: npm run generate)', (name) => {
    expect(readFileSync(`${folder}${name}.schema.json`, 'utf8')).toBe(jsonSchemaText(name));
  });

  it('has no file without a contract', () => {
    expect(readdirSync(folder).sort()).toEqual(
      Object.keys(publishedContracts)
        .map((name) => `${name}.schema.json`)
        .sort(),
    );
  });
});
