import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** One Jest project: ES modules, TypeScript by swc, library sources through the `@xva/source` condition. */
export function project(configUrl) {
  const rootDir = dirname(fileURLToPath(configUrl));
  return {
    rootDir,
    displayName: relative(root, rootDir),
    testMatch: ['<rootDir>/src/**/*.test.ts', '<rootDir>/test/**/*.test.ts'],
    testEnvironment: 'node',
    testEnvironmentOptions: { customExportConditions: ['@xva/source', 'node', 'node-addons'] },
    extensionsToTreatAsEsm: ['.ts'],
    transform: {
      '\\.ts$': [
        '@swc/jest',
        { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
      ],
    },
    transformIgnorePatterns: ['/node_modules/'],
    testTimeout: 60_000,
  };
}
