/** Called with the name of a point, such as `batch.addJob:after`; a test switch may end the process there. */
export type CrashPoint = (name: string) => void;

/**
 * The same port with a named point before and after each of its calls: every pair of calls has one between. Streams and
 * plain values go through as they are.
 */
export function withCrashPoints<T extends object>(port: T, name: string, point: CrashPoint): T {
  return new Proxy(port, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      return (...args: unknown[]): unknown => {
        point(`${name}.${key}:before`);
        const result: unknown = Reflect.apply(value, target, args);
        if (!(result instanceof Promise)) return result;
        return result.then((answer: unknown) => {
          point(`${name}.${key}:after`);
          return answer;
        });
      };
    },
  });
}
