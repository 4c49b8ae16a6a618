/* Infers the same targets for every project, so that no project repeats them. */
const { dirname, basename } = require('node:path');

const conditions = '--conditions=@xva/source --disable-warning=ExperimentalWarning';
const jestEnv = 'NODE_OPTIONS="--experimental-vm-modules --disable-warning=ExperimentalWarning"';

function typescriptTargets(root) {
  return {
    lint: { command: `eslint ${root}`, cache: true, inputs: ['default', '^production'] },
    typecheck: {
      command: `node_modules/@typescript/native/bin/tsc -p ${root}/tsconfig.json`,
      cache: true,
      inputs: ['default', '^production'],
    },
    test: { command: `${jestEnv} jest -c ${root}/jest.config.mjs`, cache: true, inputs: ['default', '^production'] },
  };
}

function appTargets(root) {
  const name = basename(root);
  return {
    build: {
      executor: '@nx/esbuild:esbuild',
      options: {
        main: `${root}/src/main.ts`,
        tsConfig: `${root}/tsconfig.json`,
        outputPath: `dist/apps/${name}`,
        outputFileName: 'main.js',
        format: ['esm'],
        platform: 'node',
        target: 'node24',
        bundle: true,
        thirdParty: false,
        generatePackageJson: true,
        skipTypeCheck: true,
        esbuildOptions: { conditions: ['@xva/source'], outExtension: { '.js': '.js' } },
      },
      cache: true,
      inputs: ['production', '^production', { externalDependencies: ['esbuild'] }],
      outputs: [`{workspaceRoot}/dist/apps/${name}`],
    },
    // A running lab (`npm run lab -- up --without <app>`) leaves each component's settings in .lab/config.
    serve: {
      continuous: true,
      command: `node --watch ${conditions} ${root}/src/main.ts --config "\${XVA_CONFIG_FILE:-.lab/config/${name}.json}" run`,
    },
    container: {
      dependsOn: ['build'],
      command: `node tools/container/container.mjs ${name}`,
      cache: true,
      inputs: [
        'production',
        '^production',
        '{workspaceRoot}/Dockerfile.template',
        '{workspaceRoot}/tools/container/**/*',
        { env: 'IMAGE_TAG' },
        { env: 'BASE_IMAGE' },
      ],
      outputs: ['{workspaceRoot}/dist/containers/{projectName}'],
    },
    'container-push': { dependsOn: ['container'], command: `node tools/container/push.mjs ${name}`, cache: false },
  };
}

module.exports = {
  name: 'xva-targets',
  createNodesV2: [
    '{apps,libs,tools}/**/{project,package}.json',
    (files) =>
      files
        .filter((file) => !file.includes('node_modules') && !file.includes('dist/'))
        .map((file) => {
          const root = dirname(file);
          if (root.startsWith('tools/xva-engine')) return [file, {}];
          const targets = { ...typescriptTargets(root), ...(root.startsWith('apps/') ? appTargets(root) : {}) };
          return [file, { projects: { [root]: { root, targets } } }];
        }),
  ],
};
