import { project } from '../../tools/workspace/jest.preset.mjs';

const { testMatch, ...rest } = project(import.meta.url);
export default { ...rest, testMatch: [...testMatch, '<rootDir>/conformance/**/*.test.ts'] };
