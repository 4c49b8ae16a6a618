export * from './azurite.ts';
export * from './batch-emulator.ts';
export * from './detect-fakes.ts';
export * from './request-source-contract.ts';
export * from './sql-simulator.ts';
export * from './event-hubs-emulator.ts';
export * from './long-timers.ts';
export * from './sample-package.ts';
export { mergeBundle, shardBundle, standInEngineCommand, tarOf, untar } from './stand-in-engine.ts';
