import type { z } from 'zod';
import type { Principal, Role } from './auth.ts';

/** A request after its parts were checked against the row's schemas. */
export interface Call<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly principal: Principal;
  readonly header: (name: string) => string | undefined;
}

export type Answer =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | {
      readonly status: number;
      readonly stream: NodeJS.ReadableStream;
      readonly headers: Readonly<Record<string, string>>;
    };

export interface ResponseDoc {
  readonly description: string;
  readonly schema?: { readonly name: string; readonly schema: z.ZodType };
  readonly contentType?: string;
}

/** One row: what is checked, what is documented and what is done come from the same place. */
export interface Route<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  readonly operationId: string;
  readonly method: 'get' | 'post';
  /** OpenAPI form, `/v1/runs/{runId}`; a trailing `{name*}` takes slashes too. */
  readonly path: string;
  readonly role: Role;
  readonly summary: string;
  readonly params: P;
  readonly query: Q;
  readonly body?: { readonly name: string; readonly schema: B };
  readonly responses: Readonly<Record<number, ResponseDoc>>;
  readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Answer>;
}

/** Keeps the types of one row while it is written. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(row: Route<P, Q, B>): Route {
  return row;
}
