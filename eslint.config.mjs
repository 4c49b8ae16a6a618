import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/** The arrows of docs/flow.md: who may import whom. A test plants a forbidden import and sees it refused. */
const depConstraints = [
  {
    sourceTag: 'layer:app',
    onlyDependOnLibsWithTags: ['layer:flow', 'layer:adapter', 'layer:runtime', 'layer:contracts'],
  },
  {
    sourceTag: 'layer:flow',
    onlyDependOnLibsWithTags: ['layer:contracts', 'layer:runtime'],
    bannedExternalImports: ['@azure/*', 'tedious', 'express', 'rhea'],
  },
  { sourceTag: 'layer:adapter', onlyDependOnLibsWithTags: ['layer:contracts', 'layer:runtime'] },
  {
    sourceTag: 'sdk:event-hubs',
    notDependOnLibsWithTags: ['layer:flow'],
    bannedExternalImports: ['@azure/batch', '@azure/data-tables', 'tedious', 'express'],
  },
  {
    sourceTag: 'sdk:storage',
    notDependOnLibsWithTags: ['layer:flow'],
    bannedExternalImports: ['@azure/batch', '@azure/event-hubs', '@azure/data-tables', 'tedious', 'express'],
  },
  {
    sourceTag: 'sdk:tables',
    notDependOnLibsWithTags: ['layer:flow'],
    bannedExternalImports: ['@azure/batch', '@azure/event-hubs', '@azure/storage-blob', 'tedious', 'express'],
  },
  {
    sourceTag: 'sdk:batch',
    notDependOnLibsWithTags: ['layer:flow'],
    bannedExternalImports: ['@azure/event-hubs', '@azure/data-tables', '@azure/storage-blob', 'tedious', 'express'],
  },
  { sourceTag: 'sdk:tedious', notDependOnLibsWithTags: ['layer:flow'], bannedExternalImports: ['@azure/*', 'express'] },
  {
    sourceTag: 'layer:contracts',
    onlyDependOnLibsWithTags: ['layer:contracts'],
    bannedExternalImports: ['@azure/*', 'tedious', 'express', 'pino', 'rhea'],
  },
  {
    sourceTag: 'layer:runtime',
    onlyDependOnLibsWithTags: ['layer:runtime'],
    bannedExternalImports: [
      '@azure/batch',
      '@azure/event-hubs',
      '@azure/storage-blob',
      '@azure/data-tables',
      'tedious',
    ],
  },
  {
    sourceTag: 'layer:testkit',
    onlyDependOnLibsWithTags: ['layer:flow', 'layer:contracts', 'layer:runtime', 'layer:adapter', 'layer:emulator-kit'],
  },
  { sourceTag: 'layer:emulator-kit', onlyDependOnLibsWithTags: ['layer:emulator-kit'] },
  { sourceTag: 'layer:emulator', onlyDependOnLibsWithTags: ['layer:emulator-kit'] },
  { sourceTag: 'layer:lab', onlyDependOnLibsWithTags: ['layer:contracts', 'layer:runtime', 'layer:emulator-kit'] },
];
/** Tests may also use the test kit and, to prove an adapter, the emulators as processes. */
const testConstraints = depConstraints.map((rule) =>
  rule.onlyDependOnLibsWithTags === undefined
    ? rule
    : {
        ...rule,
        onlyDependOnLibsWithTags: [
          ...rule.onlyDependOnLibsWithTags,
          'layer:testkit',
          'layer:emulator-kit',
          'layer:emulator',
        ],
      },
);
const boundaries = (constraints) => [
  'error',
  {
    allow: [],
    enforceBuildableLibDependency: false,
    checkDynamicDependenciesExceptions: ['.*'],
    depConstraints: constraints,
  },
];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.venv/**', '**/generated/**', '.nx/**', '.lab/**'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, prettier],
    plugins: { '@nx': nx },
    languageOptions: { parserOptions: { project: ['./tsconfig.json'], tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@nx/enforce-module-boundaries': boundaries(depConstraints),
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Environment is read in main.ts only; pass parsed config.' },
        { object: 'process', property: 'exit', message: 'Only main.ts ends the process.' },
      ],
      eqeqeq: 'error',
    },
  },
  {
    files: [
      '**/main.ts',
      'libs/runtime/src/process-host.ts',
      '**/*.test.ts',
      '**/test/**/*.ts',
      '**/bench/**/*.ts',
      'tools/**/*.ts',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['**/*.test.ts', '**/test/**/*.ts', '**/bench/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaries(testConstraints),
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
);
