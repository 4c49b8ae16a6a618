import type { z } from 'zod';
import type { Principal, Role } from '../auth/principal.ts';

/** A request after its parts were checked against the row's schemas. */
export interface Call<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly principal: Principal;
  readonly requestId: string;
  readonly header: (name: string) => string | undefined;
  /** Aborts when the connection closes. */
  readonly closed: AbortSignal;
}

type Headers = Readonly<Record<string, string>>;

export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Headers }
  | { readonly status: number; readonly stream: AsyncIterable<Uint8Array | string>; readonly headers: Headers };

/** What a change came to, for the audit: states and versions of what was changed. */
export interface Change {
  /** Such as `run xva-20260930-…` or `pool spot`. */
  readonly subject: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** The answer of a row that changes something says what changed. */
export type ChangeAnswer = Answer & { readonly change: Change };

export interface ResponseDoc {
  readonly description: string;
  readonly schema?: { readonly name: string; readonly schema: z.ZodType; readonly example?: unknown };
  /** For anything but JSON of `schema`: media types with an example of each. */
  readonly content?: Readonly<Record<string, { readonly example?: unknown; readonly binary?: boolean }>>;
  readonly headers?: Headers;
}

interface Row<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly operationId: string;
  /** OpenAPI form, `/v1/runs/{runId}`; a trailing `{name*}` takes slashes too. */
  readonly path: string;
  readonly tag: string;
  readonly role: Role;
  readonly summary: string;
  readonly description?: string;
  readonly params: P;
  readonly query: Q;
  /** Request headers that mean something here, with what they do. */
  readonly headers?: Headers;
  readonly body?: { readonly name: string; readonly schema: B; readonly example: z.input<B> };
  readonly responses: Readonly<Record<number, ResponseDoc>>;
}

/** One row: what is checked, what is documented and what is done come from the same place. */
export type Route<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> = Row<P, Q, B> &
  (
    | {
        readonly method: 'get';
        readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Answer>;
      }
    | {
        readonly method: 'post' | 'put' | 'delete';
        /** A question asked with POST changes nothing and leaves no line in the audit. */
        readonly changes: true;
        /** What it is about, for the line that is written before the act. */
        readonly subject: (params: z.output<P>, body: z.output<B>) => string;
        readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<ChangeAnswer>;
      }
    | {
        readonly method: 'post';
        readonly changes: false;
        readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Answer>;
      }
  );

/** Keeps the types of one row while it is written. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(row: Route<P, Q, B>): Route {
  return row as unknown as Route;
}
