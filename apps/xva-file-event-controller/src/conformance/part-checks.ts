import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { checkPart, StepFailure } from '@xva/flow-package';
import type { ConformanceCheck } from './check.ts';
import { demand, NotConformingError } from './suite.ts';

/** The parts of a package: their bytes, names and headers. */
export const partChecks: readonly ConformanceCheck[] = [
  {
    name: 'parts-hash',
    promise: 'every part can be had, with the size and the SHA-256 that the manifest says',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      for (const { path, sha256, size } of manifest.parts) {
        const { status, body, headers } = await suite.part(packageId, sha256);
        demand(status === 200, `${path} is answered ${status}`);
        demand(body.length === size, `${path} has ${body.length} bytes, the manifest says ${size}`);
        demand(createHash('sha256').update(body).digest('hex') === sha256, `${path} has another SHA-256`);
        const length = headers['content-length'];
        demand(length === undefined || Number(length) === size, `${path}: content-length is ${length ?? ''}`);
      }
    },
  },
  {
    name: 'parts-text',
    promise: 'parts are text in UTF-8, without document type, entity or inclusion',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      for (const part of manifest.parts) {
        const { body } = await suite.part(packageId, part.sha256);
        const asTold = { ...part, size: body.length, sha256: createHash('sha256').update(body).digest('hex') };
        try {
          const chunks = checkPart(asTold, Readable.from([body]));
          while ((await chunks.next()).done !== true) continue;
        } catch (error) {
          throw error instanceof StepFailure ? new NotConformingError(error.message) : error;
        }
      }
    },
  },
  {
    name: 'parts-etag',
    promise: 'a part has its SHA-256 as ETag, and who has it already is told so (304)',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      const { sha256, path } = manifest.parts[0] ?? { sha256: '', path: '' };
      const { headers } = await suite.part(packageId, sha256);
      demand(headers.etag === `"${sha256}"`, `${path}: the ETag is ${headers.etag ?? 'absent'}`);
      const again = await suite.part(packageId, sha256, { 'if-none-match': `"${sha256}"` });
      demand(again.status === 304, `${path} with If-None-Match is answered ${again.status}, not 304`);
      demand(again.body.length === 0, `${path}: a 304 with a body`);
    },
  },
  {
    name: 'parts-ranges',
    promise: 'a range is answered with those bytes (206), or with the whole part (200): never with others',
    run: async (suite) => {
      const { manifest, packageId } = await suite.package();
      const part = [...manifest.parts].sort((a, b) => b.size - a.size)[0];
      demand(part !== undefined && part.size > 20, 'no part is large enough for a range');
      const whole = (await suite.part(packageId, part.sha256)).body;
      const { size } = part;
      const ranges: readonly (readonly [string, number, number])[] = [
        ['bytes=0-9', 0, 9],
        ['bytes=10-', 10, size - 1],
        ['bytes=-7', size - 7, size - 1],
        [`bytes=5-${size + 100}`, 5, size - 1],
      ];
      for (const [range, from, to] of ranges) {
        const { status, body, headers } = await suite.part(packageId, part.sha256, { range });
        demand(status === 200 || status === 206, `${range} is answered ${status}, not 206 or 200`);
        const expected = status === 200 ? whole : whole.subarray(from, to + 1);
        demand(body.equals(expected), `${range} is answered ${status} with other bytes`);
        const told = headers['content-range'];
        demand(
          status === 200 || told === `bytes ${from}-${to}/${size}`,
          `${range}: content-range is ${told ?? 'absent'}`,
        );
      }
      const { status } = await suite.part(packageId, part.sha256, { range: `bytes=${size + 10}-` });
      demand(status === 200 || status === 416, `a range past the end is answered ${status}, not 416 or 200`);
    },
  },
];
