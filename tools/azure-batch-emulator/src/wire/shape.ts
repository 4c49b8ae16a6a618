import { durationTicks, formatDuration } from '../time.ts';
import { notImplemented, refusal } from './errors.ts';

/** Checks one value of a request body and returns it normalised. `path` names the property in the refusal. */
export type Check = (value: unknown, path: string) => unknown;

export function invalid(path: string, value: unknown, reason: string): Error {
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  return refusal('InvalidPropertyValue', {
    PropertyName: path,
    PropertyValue: shown.length > 200 ? `${shown.slice(0, 200)}…` : shown,
    Reason: reason,
  });
}

/** The body must be of the kind that JSON binds to the property; anything else is not a syntactically valid body. */
function mistyped(path: string, wanted: string): Error {
  return refusal('InvalidRequestBody', { PropertyName: path, Reason: `${path} must be ${wanted}` });
}

export const anything: Check = (value) => value;

export const boolean: Check = (value, path) => {
  if (typeof value !== 'boolean') throw mistyped(path, 'a boolean');
  return value;
};

export function text(limits: { readonly min?: number; readonly max?: number } = {}): Check {
  return (value, path) => {
    if (typeof value !== 'string') throw mistyped(path, 'a string');
    if (value.length < (limits.min ?? 0)) throw invalid(path, value, 'it must not be empty');
    if (limits.max !== undefined && value.length > limits.max) {
      throw invalid(path, value, `it must not exceed ${limits.max} characters`);
    }
    return value;
  };
}

export function integer(min: number, max: number): Check {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) throw mistyped(path, 'an integer');
    if (value < min || value > max) throw invalid(path, value, `it must be between ${min} and ${max}`);
    return value;
  };
}

/** Enumerations are read in any casing and kept in lower case, as the service echoes them. */
export function oneOf(...allowed: readonly string[]): Check {
  return (value, path) => {
    if (typeof value !== 'string') throw mistyped(path, 'a string');
    const lower = value.toLowerCase();
    if (!allowed.includes(lower)) throw invalid(path, value, `it must be one of ${allowed.join(', ')}`);
    return lower;
  };
}

export const duration: Check = (value, path) => {
  const ticks = typeof value === 'string' ? durationTicks(value) : undefined;
  if (ticks === undefined) throw invalid(path, value, 'it is not an ISO 8601 duration');
  return formatDuration(ticks);
};

/** Ids of pools, jobs and tasks: 1 to 64 of `[A-Za-z0-9_-]`; case-preserving, compared without case. */
export const identifier: Check = (value, path) => {
  if (typeof value !== 'string') throw mistyped(path, 'a string');
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(value)) {
    throw invalid(path, value, 'it must have 1 to 64 characters: letters, digits, hyphen, underscore');
  }
  return value;
};

export function list(item: Check, max = Number.MAX_SAFE_INTEGER): Check {
  return (value, path) => {
    if (!Array.isArray(value)) throw mistyped(path, 'an array');
    if (value.length > max) throw invalid(path, value, `it must not have more than ${max} entries`);
    return value.map((entry, index) => item(entry, `${path}[${index}]`));
  };
}

interface Required {
  readonly required: Check;
}

export function required(check: Check): Required {
  return { required: check };
}

/** A property that Azure knows and the emulator does not: refused by name when it asks for anything. */
export function lacking(what: string): Check {
  return (value) => {
    if (value === false || (Array.isArray(value) && value.length === 0)) return undefined;
    throw notImplemented(what);
  };
}

/** An object with exactly these properties; `null` counts as absent; an unknown property is refused by name. */
export function object(fields: Readonly<Record<string, Check | Required>>): Check {
  const entries = Object.entries(fields);
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw mistyped(path === '' ? 'the body' : path, 'an object');
    }
    const given = value as Record<string, unknown>;
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(fields, name) && !name.startsWith('odata.')) {
        throw refusal('UnsupportedProperty', { PropertyName: at(name) });
      }
    }
    const result: Record<string, unknown> = {};
    for (const [name, field] of entries) {
      const entry = given[name];
      if (entry === undefined || entry === null) {
        if (typeof field !== 'function') throw refusal('MissingRequiredProperty', { PropertyName: at(name) });
        continue;
      }
      const checked = (typeof field === 'function' ? field : field.required)(entry, at(name));
      if (checked !== undefined) result[name] = checked;
    }
    return result;
  };
}
