/** What differs between the images; everything else is in the templates. */
const entryPoint = (...flags) => JSON.stringify(['node', ...flags, 'main.js']);
const node = (port, portSetting = 'XVA_OPS_PORT', hostSetting = 'XVA_OPS_HOST') => ({
  template: 'Dockerfile.template',
  baseImage: 'docker.io/library/node:24-bookworm-slim',
  port,
  portSetting,
  hostSetting,
  entryPoint: entryPoint(),
  moreEnv: '',
  context: (name) => [{ from: `dist/apps/${name}`, to: '.' }],
});

export const images = {
  'xva-db-integrator': node('8081'),
  'xva-file-event-controller': node('8082'),
  'xva-batch-controller-api': node('8080', 'XVA_HTTP_PORT', 'XVA_HTTP_HOST'),
  // Streams, but Node fills the room that it is given: with these it stays below 150 MB (npm run bench -- sweep).
  'xva-batch-gc': {
    ...node('8083'),
    entryPoint: entryPoint('--max-old-space-size=64', '--max-semi-space-size=2', '--optimize-for-size'),
    moreEnv: ' \\\n    MALLOC_ARENA_MAX=1',
  },
  'xva-engine': {
    template: 'tools/container/engine.Dockerfile.template',
    baseImage: 'docker.io/library/python:3.11-slim-bookworm',
    context: () => [
      { from: 'tools/xva-engine/src', to: '.' },
      { from: 'tools/xva-engine/requirements.lock', to: 'requirements.lock' },
      { from: 'tools/container/xva-engine', to: 'xva-engine' },
    ],
  },
};
