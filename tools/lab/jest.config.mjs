import { project } from '../../tools/workspace/jest.preset.mjs';

export default { ...project(import.meta.url), setupFiles: ['<rootDir>/test/preload.ts'] };
