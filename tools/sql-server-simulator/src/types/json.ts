/** A JSON node that keeps its own source text, so that a number keeps its digits (`1.10` stays `1.10`). */
export interface JsonNode {
  readonly kind: 'object' | 'array' | 'string' | 'number' | 'true' | 'false' | 'null';
  readonly raw: string;
  /** Decoded text of a string. */
  readonly text?: string;
  readonly members?: readonly (readonly [string, JsonNode])[];
  readonly elements?: readonly JsonNode[];
}

const numberShape = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const maxDepth = 128;

class Reader {
  readonly text: string;
  at = 0;
  constructor(text: string) {
    this.text = text;
  }

  space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return;
      this.at += 1;
    }
  }

  take(character: string): boolean {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  string(): string | undefined {
    if (this.text[this.at] !== '"') return undefined;
    let end = this.at + 1;
    while (end < this.text.length && this.text[end] !== '"') end += this.text[end] === '\\' ? 2 : 1;
    const raw = this.text.slice(this.at, end + 1);
    try {
      const value: unknown = JSON.parse(raw);
      this.at = end + 1;
      return typeof value === 'string' ? value : undefined;
    } catch {
      return undefined;
    }
  }

  node(depth: number): JsonNode | undefined {
    if (depth > maxDepth) return undefined;
    this.space();
    const start = this.at;
    const first = this.text[start];
    if (first === '{') return this.object(start, depth);
    if (first === '[') return this.array(start, depth);
    if (first === '"') {
      const text = this.string();
      return text === undefined ? undefined : { kind: 'string', raw: this.text.slice(start, this.at), text };
    }
    for (const kind of ['true', 'false', 'null'] as const) {
      if (!this.text.startsWith(kind, start)) continue;
      this.at += kind.length;
      return { kind, raw: kind };
    }
    numberShape.lastIndex = start;
    const match = numberShape.exec(this.text);
    if (match === null) return undefined;
    this.at += match[0].length;
    return { kind: 'number', raw: match[0] };
  }

  object(start: number, depth: number): JsonNode | undefined {
    this.at += 1;
    const members: (readonly [string, JsonNode])[] = [];
    if (!this.take('}')) {
      do {
        this.space();
        const key = this.string();
        if (key === undefined || !this.take(':')) return undefined;
        const value = this.node(depth + 1);
        if (value === undefined) return undefined;
        members.push([key, value]);
      } while (this.take(','));
      if (!this.take('}')) return undefined;
    }
    return { kind: 'object', raw: this.text.slice(start, this.at), members };
  }

  array(start: number, depth: number): JsonNode | undefined {
    this.at += 1;
    const elements: JsonNode[] = [];
    if (!this.take(']')) {
      do {
        const value = this.node(depth + 1);
        if (value === undefined) return undefined;
        elements.push(value);
      } while (this.take(','));
      if (!this.take(']')) return undefined;
    }
    return { kind: 'array', raw: this.text.slice(start, this.at), elements };
  }
}

/** @returns the document's root, or undefined when the text is no JSON (depth limit 128, as SQL Server's) */
export function parseJson(text: string): JsonNode | undefined {
  const reader = new Reader(text);
  const node = reader.node(0);
  reader.space();
  return node !== undefined && reader.at === text.length ? node : undefined;
}

export interface JsonPath {
  readonly strict: boolean;
  readonly steps: readonly (string | number)[];
}

/** Parses `lax $.a."b c"[0]`; undefined when the path is malformed. */
export function parsePath(text: string): JsonPath | undefined {
  const match = /^\s*(?:(lax|strict)\s+)?\$(.*)$/s.exec(text);
  if (match === null) return undefined;
  const steps: (string | number)[] = [];
  let rest = match[2] ?? '';
  while (rest.trim() !== '') {
    const step = /^\s*(?:\.\s*(?:"((?:[^"\\]|\\.)*)"|([\p{L}_][\p{L}\p{N}_$]*))|\[(\d+)\])/su.exec(rest);
    if (step === null) return undefined;
    if (step[3] !== undefined) steps.push(Number(step[3]));
    else steps.push(step[1] === undefined ? (step[2] ?? '') : step[1].replace(/\\(.)/gs, '$1'));
    rest = rest.slice(step[0].length);
  }
  return { strict: match[1] === 'strict', steps };
}

export function follow(root: JsonNode, path: JsonPath): JsonNode | undefined {
  let node: JsonNode | undefined = root;
  for (const step of path.steps) {
    node = typeof step === 'number' ? node.elements?.[step] : node.members?.find(([key]) => key === step)?.[1];
    if (node === undefined) return undefined;
  }
  return node;
}

/** @returns the text of a scalar (JSON true/false as such), or null for JSON null and for objects and arrays */
export function scalarText(node: JsonNode): string | null {
  if (node.kind === 'string') return node.text ?? '';
  return node.kind === 'number' || node.kind === 'true' || node.kind === 'false' ? node.raw : null;
}
