import { parseArgs } from 'node:util';
import type { EventHubsEmulatorOptions } from './start.ts';

/** Thrown when the command line is wrong; the text says what is. */
export class UsageError extends Error {
  constructor(message: string) {
    super(`${message} (see --help)`);
    this.name = 'UsageError';
  }
}

/** What a verb of the explorer needs to reach a hub. */
export interface Target {
  readonly connectionString: string;
  readonly hub: string;
  readonly consumerGroup: string;
  readonly partition: string | undefined;
}

export type Command =
  | { readonly verb: 'help' }
  | {
      readonly verb: 'run';
      readonly options: EventHubsEmulatorOptions;
      readonly configFile: string | undefined;
      readonly exitWithParent: boolean;
    }
  | { readonly verb: 'peek'; readonly target: Target; readonly from: number | undefined; readonly count: number }
  | { readonly verb: 'tail'; readonly target: Target }
  | {
      readonly verb: 'send';
      readonly target: Target;
      readonly body: string;
      readonly partitionKey: string | undefined;
    };

export const usage = `event-hubs-emulator [run]      serve Event Hubs over AMQP 1.0 until SIGTERM
  --data DIR             keep the logs here (default: in memory)
  --port N               AMQP port (default 5672, 0 = any free one; further namespaces take the next ports)
  --control-port N       health, faults and transcript on 127.0.0.1 (default 5300, 0 = any free one)
  --host ADDRESS         address to bind to (default 127.0.0.1)
  --config FILE          Config.json as for Microsoft's emulator (default: emulatorNs1 with hub xva-runs)
  --retention-hours H    delete whole segments older than this (default 168)
  --retention-bytes N    delete the oldest segments of a partition that holds more (default 8 GiB)
  --segment-bytes N      begin a new segment at this size (default 64 MiB)
  --max-message-bytes N  largest publication that is taken (default 1048576)
  --throughput-units N   refuse and delay what exceeds so many (default: no limit)
  --exit-with-parent     stop when standard input closes
event-hubs-emulator peek       print events as JSON lines and end; a hub on Azure works as well
  --from N               first sequence number (default: the oldest)
  --count N              events per partition (default 10)
event-hubs-emulator tail       print new events until interrupted
event-hubs-emulator send       send one event
  --body TEXT            JSON or text; --key KEY sets the partition key
for peek, tail and send:
  --connection-string S  default: this emulator's at --port (default 5672)
  --hub NAME             default xva-runs
  --group NAME           default $Default
  --partition ID         default: all (send: chosen by the hub)
exit codes: 0 done, 1 failed, 2 wrong usage or configuration
`;

const stringOptions = [
  'data', 'port', 'control-port', 'host', 'config', 'retention-hours', 'retention-bytes', 'segment-bytes',
  'max-message-bytes', 'throughput-units', 'from', 'count', 'body', 'key', 'connection-string', 'hub', 'group', 'partition',
] as const; // prettier-ignore

type Values = Partial<Record<(typeof stringOptions)[number], string>>;

function wholeNumber(values: Values, name: 'port' | 'control-port' | 'from' | 'count'): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const isPort = name.endsWith('port');
  if (!/^\d{1,15}$/.test(text) || (isPort && Number(text) > 65_535)) {
    throw new UsageError(`--${name} '${text}' is not a ${isPort ? 'port' : 'whole number'}`);
  }
  return Number(text);
}

function positive(values: Values, name: (typeof stringOptions)[number]): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text) || Number(text) === 0)
    throw new UsageError(`--${name} '${text}' is not a number from 1`);
  return Number(text);
}

function defined<K extends string>(key: K, value: number | undefined): Partial<Record<K, number>> {
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<K, number>>);
}

function runCommand(values: Values, exitWithParent: boolean): Command {
  const hours = values['retention-hours'];
  if (hours !== undefined && !(Number(hours) > 0)) throw new UsageError(`--retention-hours '${hours}' is not positive`);
  const options: EventHubsEmulatorOptions = {
    port: wholeNumber(values, 'port') ?? 5672,
    controlPort: wholeNumber(values, 'control-port') ?? 5300,
    ...(values.data === undefined ? {} : { dataDirectory: values.data }),
    ...(values.host === undefined ? {} : { host: values.host }),
    ...(hours === undefined ? {} : { retentionMs: Number(hours) * 3_600_000 }),
    ...defined('retentionBytes', positive(values, 'retention-bytes')),
    ...defined('segmentBytes', positive(values, 'segment-bytes')),
    ...defined('maxMessageBytes', positive(values, 'max-message-bytes')),
    ...defined('throughputUnits', positive(values, 'throughput-units')),
  };
  return { verb: 'run', options, configFile: values.config, exitWithParent };
}

function targetOf(values: Values): Target {
  const port = wholeNumber(values, 'port') ?? 5672;
  return {
    connectionString:
      values['connection-string'] ??
      `Endpoint=sb://localhost:${port};SharedAccessKeyName=RootManageSharedAccessKey;` +
        'SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;',
    hub: values.hub ?? 'xva-runs',
    consumerGroup: values.group ?? '$Default',
    partition: values.partition,
  };
}

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): Command {
  const named = Object.fromEntries(stringOptions.map((name) => [name, { type: 'string' as const }]));
  const flags = { help: { type: 'boolean' as const }, 'exit-with-parent': { type: 'boolean' as const } };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...argv], options: { ...named, ...flags }, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const values = parsed.values as Values;
  const [verb = 'run', ...rest] = parsed.positionals;
  if (parsed.values['help'] === true) return { verb: 'help' };
  if (rest.length > 0) throw new UsageError(`unexpected '${rest.join(' ')}'`);
  switch (verb) {
    case 'run':
      return runCommand(values, parsed.values['exit-with-parent'] === true);
    case 'peek':
      return {
        verb,
        target: targetOf(values),
        from: wholeNumber(values, 'from'),
        count: wholeNumber(values, 'count') ?? 10,
      };
    case 'tail':
      return { verb, target: targetOf(values) };
    case 'send':
      if (values.body === undefined) throw new UsageError('send needs --body');
      return { verb, target: targetOf(values), body: values.body, partitionKey: values.key };
    default:
      throw new UsageError(`no verb '${verb}'`);
  }
}
