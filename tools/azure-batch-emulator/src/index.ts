export { startBatchEmulator, type BatchEmulator, type BatchEmulatorOptions } from './start.ts';
export { ConfigError, defaultAccount, parseConfig, type EmulatorConfig, type EmulatorConfigInput } from './config.ts';
export { DataInUseError } from './store/database.ts';
