import { problemSchema } from '@xva/contracts';
import { z } from 'zod';
import { problemExample } from './examples.ts';
import type { ResponseDoc, Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

const idPattern = '^[A-Za-z0-9_.-]{1,64}$';

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema: json }) => {
      // What a refinement says beside the pattern: an id is no path step.
      if (json.pattern === idPattern) json.pattern = '^(?!\\.\\.?$)[A-Za-z0-9_.-]{1,64}$';
    },
  });
  return json;
}

/** A query's number arrives as text: what is documented is the number, not the text's pattern. */
function parameterSchema(property: Json): Json {
  if (property['type'] !== 'integer') return property;
  const { pattern: _pattern, ...rest } = property;
  return rest;
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
    schema: parameterSchema(property),
  }));
}

function headerParameters(headers: Readonly<Record<string, string>>): readonly Json[] {
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  }));
}

const problemContent = {
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' }, example: problemExample },
};

/** One event of a stream, as its reader has it. */
const sentEvent = {
  type: 'object',
  properties: { id: { type: 'string' }, event: { const: 'run' }, data: { type: 'string' }, retry: { type: 'integer' } },
};

function response(status: number, doc: ResponseDoc): Json {
  const headers = {
    'x-request-id': { description: 'names the request in logs and audit', schema: { type: 'string' } },
    ...Object.fromEntries(
      Object.entries(doc.headers ?? {}).map(([name, description]) => [
        name,
        { description, schema: { type: 'string' } },
      ]),
    ),
  };
  const { description } = doc;
  if (doc.schema !== undefined) {
    const { name, example } = doc.schema;
    const body = { schema: { $ref: `#/components/schemas/${name}` }, ...(example === undefined ? {} : { example }) };
    return { description, headers, content: { 'application/json': body } };
  }
  if (doc.content !== undefined) {
    const content = Object.entries(doc.content).map(([type, { example, binary = false }]) => {
      const schema =
        type === 'text/event-stream' ? sentEvent : type === 'application/json' || binary ? {} : { type: 'string' };
      return [type, { schema, ...(example === undefined ? {} : { example }) }];
    });
    return { description, headers, content: Object.fromEntries(content) as Json };
  }
  return status >= 400 ? { description, headers, content: problemContent } : { description, headers };
}

/** What any row may answer, whatever it does. */
function commonResponses(row: Route): Readonly<Record<number, ResponseDoc>> {
  return {
    400: { description: 'the request is not valid' },
    401: { description: 'no valid credential', headers: { 'www-authenticate': 'what to send' } },
    403: { description: 'the role does not allow it' },
    406: { description: 'no format that is asked for can be given' },
    429: { description: 'too many requests', headers: { 'retry-after': 'seconds to wait' } },
    431: { description: 'the headers are too large or too many' },
    503: { description: 'a service behind is away; try again after Retry-After' },
    ...(row.method === 'get'
      ? {}
      : {
          413: { description: 'the body is too large' },
          415: { description: 'the body is not application/json in UTF-8, uncompressed' },
        }),
  };
}

function operation(row: Route): Json {
  const { body } = row;
  return {
    operationId: row.operationId,
    tags: [row.tag],
    summary: row.summary,
    description: [row.description, `Role: ${row.role}.`].filter((text) => text !== undefined).join('\n\n'),
    'x-role': row.role,
    parameters: [
      ...parameters('path', row.params),
      ...parameters('query', row.query),
      ...headerParameters(row.headers ?? {}),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              'application/json': { schema: { $ref: `#/components/schemas/${body.name}` }, example: body.example },
            },
          },
        }),
    responses: Object.fromEntries(
      Object.entries({ ...commonResponses(row), ...row.responses }).map(([status, doc]) => [
        status,
        response(Number(status), doc),
      ]),
    ),
  };
}

const tags = [
  { name: 'runs', description: 'Submit runs, follow them, and say what shall become of them.' },
  { name: 'results', description: 'What a run published: all of it or nothing.' },
  { name: 'pools', description: 'The nodes that tasks run on.' },
  { name: 'webhooks', description: 'Tell another system when a run is over.' },
];

/** The OpenAPI 3.1 document of the rows. */
export function openApiOf(routes: readonly Route[], version: string): Json {
  const schemas: Record<string, Json> = { Problem: jsonSchema(problemSchema, 'output') };
  const paths: Record<string, Record<string, Json>> = {};
  for (const row of routes) {
    for (const { schema } of Object.values(row.responses)) {
      if (schema !== undefined) schemas[schema.name] = jsonSchema(schema.schema, 'output');
    }
    if (row.body !== undefined) schemas[row.body.name] = jsonSchema(row.body.schema, 'input');
    (paths[row.path.replace('*}', '}')] ??= {})[row.method] = operation(row);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'XVA batch controller',
      version,
      description:
        'Submits, follows and publishes XVA runs on Azure Batch. Every answer carries `x-request-id`; every error is a problem document (RFC 9457) with a stable `code`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags,
    security: [{ apiKey: [] }, { entra: [] }],
    paths,
    components: {
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        entra: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'access token of Entra ID' },
      },
      schemas,
    },
  };
}
