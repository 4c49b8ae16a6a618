import { createHash } from 'node:crypto';
import { deadLetterSchema, letterId, letterLabelsOf, letterLabelsSchema, type Manifest } from '@xva/contracts';
import { sampleEvent } from '@xva/testkit';
import { never, Rig } from './fakes.ts';

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Random = () => number;
const below = (random: Random, limit: number): number => Math.floor(random() * limit);
const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)]!;

/** JSON texts that parsers, file systems, terminals and spreadsheets stumble over. */
const hostileTexts: readonly string[] = [
  '"../../etc/passwd"',
  '"/etc/passwd"',
  '"Input/%2e%2e/%2e%2e/x"',
  '"Input\\\\..\\\\x"',
  '"Input/a\\u0000b"',
  '"CON"',
  '"Input/nul.xml"',
  '"Input/portfolio.xml."',
  '"INPUT/PORTFOLIO.XML"',
  '"Input/p\\u043ertfolio.xml"',
  '"\\u202egnp.exe"',
  '"\\u001b[2J"',
  '"=cmd|calc"',
  '"\\ud800"',
  '""',
  `"${'x'.repeat(3_000)}"`,
  'null',
  'true',
  '[]',
  '{}',
  '-1',
  '0',
  '1e999',
  '-0',
  '9007199254740993',
  '1.5',
  'NaN',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
  '"2999-12-31T00:00:00Z"',
  '"0001-01-01T00:00:00Z"',
  '"<!DOCTYPE x [<!ENTITY a \\"b\\">]>"',
];

/** One to four faults in a JSON text: a value replaced, a member doubled or gone, or bytes changed, cut or put in. */
export function mutate(bytes: Uint8Array, random: Random): Buffer {
  let mutated: Buffer = Buffer.from(bytes);
  for (let count = random() < 0.6 ? 1 : 2 + below(random, 3); count > 0; count -= 1)
    mutated = mutateOnce(mutated, random);
  return mutated;
}

function mutateOnce(bytes: Buffer, random: Random): Buffer {
  const at = below(random, bytes.length + 1);
  switch (below(random, 10)) {
    case 0: {
      const changed = Buffer.from(bytes);
      if (changed.length > 0) changed[at % changed.length] = below(random, 256);
      return changed;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(random, 40))]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(random, hostileTexts)), bytes.subarray(at)]);
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return replaceValue(bytes, random, () => pick(random, hostileTexts));
    case 5:
      return replaceValue(bytes, random, (found) => `${found},"${pick(random, ['id', 'data', 'extra'])}":${found}`);
    default:
      return replaceValue(bytes, random, () => JSON.stringify(String(random()).slice(0, 1 + below(random, 18))));
  }
}

/** A string, number or literal that is a member's value, in its place. */
function replaceValue(bytes: Buffer, random: Random, by: (found: string) => string): Buffer {
  const text = bytes.toString('latin1');
  const values = [...text.matchAll(/(?<=":)("(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null)/g)];
  if (values.length === 0) return bytes;
  const { index, 0: found } = pick(random, values);
  return Buffer.from(text.slice(0, index) + by(found) + text.slice(index + found.length), 'latin1');
}

/** What became of mutated input, by outcome and reason. */
export type Tally = Map<string, number>;

const slowMs = 1_000;

/** Throws, with the seed's number of the case, when an event has another end than one job or one dead letter. */
export async function fuzzEvents(count: number, seed: number): Promise<Tally> {
  const random = seeded(seed);
  const tally: Tally = new Map();
  const samples = Array.from({ length: 8 }, (_unused, index) => sampleEvent({ revision: index + 1 }));
  let rig = new Rig(samples);
  for (let index = 0; index < count; index += 1) {
    if (index % 500 === 0) rig = new Rig(samples);
    const bytes = mutate(pick(random, samples).eventBytes, random);
    await endsWell(rig, bytes, `event ${index} of seed ${seed}`, tally);
  }
  return tally;
}

/** The same for what the input API answers: manifest and parts. */
export async function fuzzPackages(count: number, seed: number): Promise<Tally> {
  const random = seeded(seed);
  const tally: Tally = new Map();
  for (let index = 0; index < count; index += 1) {
    const sample = sampleEvent({ revision: index + 1 });
    const rig = new Rig([sample]);
    const manifest = random() < 0.8 ? mutatedManifest(sample.manifest, random) : sample.manifestBytes;
    rig.inputApi.answer = () => manifest;
    if (random() < 0.4) rig.inputApi.part = (bytes) => mutate(bytes, random);
    await endsWell(rig, sample.eventBytes, `package ${index} of seed ${seed}`, tally);
  }
  return tally;
}

/** Half by bytes, half by meaning: a fault that leaves canonical JSON of the right shape goes deeper. */
function mutatedManifest(manifest: Manifest, random: Random): Buffer {
  if (random() < 0.5) return mutate(Buffer.from(JSON.stringify(manifest)), random);
  const changed = structuredClone(manifest) as unknown as Record<string, unknown>;
  const parts = changed['parts'] as Record<string, unknown>[];
  const part = pick(random, parts);
  const value = (): unknown => {
    try {
      return JSON.parse(pick(random, hostileTexts)) as unknown;
    } catch {
      return Number.NaN;
    }
  };
  switch (below(random, 6)) {
    case 0:
      part[pick(random, ['path', 'size', 'sha256', 'role'])] = value();
      break;
    case 1:
      parts.push({ ...part });
      break;
    case 2:
      for (let extra = 0; extra < 300; extra += 1) parts.push({ ...part, path: `Input/x${extra}` });
      break;
    case 3:
      parts.reverse();
      break;
    case 4:
      part['size'] = Number(part['size']) + below(random, 5) - 2;
      break;
    default:
      changed[pick(random, Object.keys(changed))] = value();
  }
  return Buffer.from(JSON.stringify(changed));
}

async function endsWell(rig: Rig, bytes: Uint8Array, name: string, tally: Tally): Promise<void> {
  const started = performance.now();
  const before = rig.jobApi.runs.size + attemptsOf(rig);
  let outcome;
  try {
    outcome = await rig.packager().handle({ bytes, source: null }, never);
  } catch (error) {
    throw new Error(`${name} was not decided`, { cause: error });
  }
  const promise = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`${name}: ${what}`);
  };
  promise(performance.now() - started < slowMs, `took ${Math.round(performance.now() - started)} ms`);
  promise(({} as Record<string, unknown>)['polluted'] === undefined, 'changed the prototype of all objects');
  for (const [object, content] of rig.objects.objects) {
    promise(object === createHash('sha256').update(content).digest('hex'), `object ${object} has other content`);
  }
  const { outcome: end } = outcome;
  promise(endName(outcome) !== 'unexpected', 'an error that nobody named');
  tally.set(end === 'submitted' ? 'job' : outcome.failure.reason, 1 + (tally.get(endName(outcome)) ?? 0));
  if (end === 'submitted') {
    promise(rig.objects.objects.has(outcome.packageId), 'a job without its manifest');
    return;
  }
  promise(rig.jobApi.runs.size + attemptsOf(rig) === before + 1, 'not exactly one end');
  const stored = await rig.deadLetters.get(outcome.letterId);
  promise(stored !== undefined && letterId.safeParse(stored.letter.id).success, 'no letter, or one of a strange name');
  promise(deadLetterSchema.safeParse(stored?.letter).success, 'a letter that is none');
  const labels = stored === undefined ? {} : letterLabelsOf(stored.letter);
  promise(letterLabelsSchema.safeParse(labels).success, `labels that are none: ${JSON.stringify(labels)}`);
  promise(
    Object.values(labels).every((label) => /^[\x20-\x7e]*$/.test(label)),
    'labels that no header can hold',
  );
}

const endName = (outcome: { outcome: string; failure?: { reason: string } }): string =>
  outcome.outcome === 'submitted' ? 'job' : (outcome.failure?.reason ?? '');

function attemptsOf(rig: Rig): number {
  return [...rig.deadLetters.letters.values()].reduce((sum, { letter }) => sum + letter.attempts, 0);
}
