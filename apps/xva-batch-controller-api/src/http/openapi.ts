import { problemSchema } from '@xva/contracts';
import { z } from 'zod';
import type { ResponseDoc, Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
  });
  return json;
}

function parameters(where: 'path' | 'query', schema: z.ZodType): readonly Json[] {
  const { properties, required } = jsonSchema(schema, 'input') as {
    properties?: Readonly<Record<string, Json>>;
    required?: readonly string[];
  };
  return Object.entries(properties ?? {}).map(([name, property]) => ({
    name,
    in: where,
    required: where === 'path' || (required ?? []).includes(name),
    schema: property,
  }));
}

function response(doc: ResponseDoc): Json {
  if (doc.schema !== undefined) {
    return {
      description: doc.description,
      content: { 'application/json': { schema: { $ref: `#/components/schemas/${doc.schema.name}` } } },
    };
  }
  if (doc.contentType === undefined) return { description: doc.description };
  const schema =
    doc.contentType === 'application/problem+json' ? { $ref: '#/components/schemas/Problem' } : { type: 'string' };
  return { description: doc.description, content: { [doc.contentType]: { schema } } };
}

const always: Readonly<Record<number, ResponseDoc>> = {
  400: { description: 'the request is not valid', contentType: 'application/problem+json' },
  401: { description: 'no valid API key', contentType: 'application/problem+json' },
  403: { description: 'the role does not allow it', contentType: 'application/problem+json' },
  429: { description: 'too many requests', contentType: 'application/problem+json' },
  503: {
    description: 'a service behind is away; try again after Retry-After',
    contentType: 'application/problem+json',
  },
};

/** The OpenAPI 3.1 document of the rows. */
export function openApiOf(routes: readonly Route[], version: string): Json {
  const schemas: Record<string, Json> = { Problem: jsonSchema(problemSchema, 'output') };
  const paths: Record<string, Record<string, Json>> = {};
  for (const row of routes) {
    for (const { schema } of Object.values(row.responses)) {
      if (schema !== undefined) schemas[schema.name] = jsonSchema(schema.schema, 'output');
    }
    if (row.body !== undefined) schemas[row.body.name] = jsonSchema(row.body.schema, 'input');
    const path = row.path.replace('*}', '}');
    (paths[path] ??= {})[row.method] = {
      operationId: row.operationId,
      summary: row.summary,
      description: `Role: ${row.role}.`,
      parameters: [...parameters('path', row.params), ...parameters('query', row.query)],
      ...(row.body === undefined
        ? {}
        : {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: { $ref: `#/components/schemas/${row.body.name}` } } },
            },
          }),
      responses: Object.fromEntries(
        Object.entries({ ...always, ...row.responses }).map(([status, doc]) => [status, response(doc)]),
      ),
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'XVA batch controller',
      version,
      description: 'Submits, follows and publishes XVA runs on Azure Batch.',
    },
    security: [{ apiKey: [] }],
    paths,
    components: { securitySchemes: { apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' } }, schemas },
  };
}
