import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchemaText, publishedContracts } from './json-schemas.ts';

/** `node src/generate.ts`: writes `schemas/*.schema.json`, which the Python side is tested against. */
const folder = fileURLToPath(new URL('../schemas/', import.meta.url));
mkdirSync(folder, { recursive: true });
for (const name of Object.keys(publishedContracts)) writeFileSync(`${folder}${name}.schema.json`, jsonSchemaText(name));
