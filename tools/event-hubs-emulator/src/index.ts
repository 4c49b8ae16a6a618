export { startEventHubsEmulator, type EventHubsEmulatorOptions, type StartedEventHubsEmulator } from './start.ts';
export { ConfigError, defaultNamespace, parseConfig, type HubConfig, type NamespaceConfig } from './config.ts';
export { defaultPolicy, type Claim, type SharedAccessPolicy } from './auth/sas.ts';
export { CorruptLogError } from './log/segment.ts';
export { DataDirectoryError } from './hubs/open-hubs.ts';
