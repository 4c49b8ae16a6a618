// With several projects the root's time-out counts, not theirs.
export default {
  testTimeout: 60_000,
  projects: [
    '<rootDir>/libs/*/jest.config.mjs',
    '<rootDir>/libs/*/*/jest.config.mjs',
    '<rootDir>/apps/*/jest.config.mjs',
    '<rootDir>/tools/*/jest.config.mjs',
  ],
};
