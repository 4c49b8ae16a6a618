import { readFileSync } from 'node:fs';
import { functionNames } from './functions.ts';

it('lists every scalar function of the subset in the README', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  expect(functionNames().filter((name) => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([]);
});
