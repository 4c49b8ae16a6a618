/** What differs between the images; everything else is in the templates. */
const node = (port, portSetting = 'XVA_OPS_PORT', hostSetting = 'XVA_OPS_HOST') => ({
  template: 'Dockerfile.template',
  baseImage: 'docker.io/library/node:24-bookworm-slim',
  port,
  portSetting,
  hostSetting,
  context: (name) => [{ from: `dist/apps/${name}`, to: '.' }],
});

export const images = {
  'xva-db-integrator': node('8081'),
  'xva-file-event-controller': node('8082'),
  'xva-batch-controller-api': node('8080', 'XVA_HTTP_PORT', 'XVA_HTTP_HOST'),
  'xva-batch-gc': node('8083'),
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
