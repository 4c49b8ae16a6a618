import { createProjectGraphAsync } from '@nx/devkit';

/**
 * The rule reads Nx's cached graph and, where there is none yet (a fresh clone), skips itself with a mere warning.
 * Whoever lints computes the graph first, so that the arrows are held on the first run too.
 */
export async function ensureProjectGraph() {
  await createProjectGraphAsync({ exitOnError: true, resetDaemonClient: true });
}

/** The arrows of docs/flow.md: who may import whom. A test plants a forbidden import and sees it refused. */
export const depConstraints = [
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
  {
    sourceTag: 'layer:lab',
    onlyDependOnLibsWithTags: ['layer:adapter', 'layer:contracts', 'layer:runtime', 'layer:emulator-kit'],
  },
];
/**
 * Tests may also use the test kit (which knows flows and adapters, hence no indirect check) and, to prove an adapter, the
 * emulators as processes.
 */
export const testConstraints = depConstraints.map(({ notDependOnLibsWithTags: _indirect, ...rule }) => ({
  ...rule,
  onlyDependOnLibsWithTags: [
    ...(rule.onlyDependOnLibsWithTags ?? ['layer:contracts', 'layer:runtime']),
    'layer:testkit',
    'layer:emulator-kit',
    'layer:emulator',
    // The lab's tests take the flow apart.
    ...(rule.sourceTag === 'layer:lab' ? ['layer:flow'] : []),
  ],
}));
export const boundaries = (constraints) => [
  'error',
  {
    allow: [],
    enforceBuildableLibDependency: false,
    checkDynamicDependenciesExceptions: ['.*'],
    depConstraints: constraints,
  },
];
