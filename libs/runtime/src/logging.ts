import { pino, type DestinationStream } from 'pino';

/** What the rooms need of a logger: an object of fields first, then a constant message. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields (event, run, job, task ids) to every line. */
  child(fields: Readonly<Record<string, unknown>>): Logger;
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

const secretPaths = ['password', 'apiKey', 'connectionString', 'sharedAccessKey', 'authorization', 'accountKey', 'sas'];

/** JSON lines with level names and ISO times; well-known secret fields are replaced wherever they stand. */
export function createLogger(component: string, level: LogLevel, destination: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { component },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretPaths.flatMap((path) => [path, `*.${path}`]), censor: '[redacted]' },
      serializers: { error: toFields, err: toFields },
    },
    destination,
  );
}

/** What was described already (most callers do) stays as it is. */
function toFields(value: unknown): unknown {
  return value instanceof Error || typeof value !== 'object' ? describeError(value) : value;
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

/** An error as fields: name, message, its own fields that are plain values, and its cause; the stack for unexpected ones. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const fields = Object.fromEntries(
    Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
  return {
    ...fields,
    name: error.name,
    message: error.message,
    ...(error.name === 'Error' || error.name === 'TypeError' ? { stack: error.stack } : {}),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
