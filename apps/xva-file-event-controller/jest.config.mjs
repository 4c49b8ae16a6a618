import { project } from '../../tools/workspace/jest.preset.mjs';

const base = project(import.meta.url);

/** Without `import` among the conditions: Jest adds it where it holds, and the SDK's CommonJS parts need tslib's own. */
export default { ...base, testEnvironmentOptions: { customExportConditions: ['@xva/source', 'node', 'node-addons'] } };
