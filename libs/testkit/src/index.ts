export * from './azurite.ts';
export * from './batch-emulator.ts';
