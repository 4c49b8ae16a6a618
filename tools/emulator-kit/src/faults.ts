/** What an emulator does when a fault rule fires. `kind` is defined by each emulator (listed in its README). */
export interface FaultAction {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/**
 * A rule that makes an emulator misbehave on purpose.
 *
 * `point` names a place in the emulator (for example `request`, `send.beforeAck`); `match` narrows it by exact
 * attribute values; `skip` lets the first n hits pass; `times` bounds how often it fires (default 1, -1 = always);
 * `probability` (0..1) draws from a generator seeded by `seed`, so that a failing run can be replayed.
 */
export interface FaultRule {
  readonly id?: string;
  readonly point: string;
  readonly match?: Readonly<Record<string, string | number | boolean>>;
  readonly skip?: number;
  readonly times?: number;
  readonly probability?: number;
  readonly seed?: number;
  readonly action: FaultAction;
}

interface ArmedRule {
  readonly rule: FaultRule;
  toSkip: number;
  left: number;
  fired: number;
  readonly random: () => number;
}

/** Deterministic generator in [0, 1) (mulberry32); the same seed gives the same sequence on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The armed fault rules of one emulator. First matching rule wins, in the order in which they were armed. */
export class FaultBoard {
  #rules: ArmedRule[] = [];
  #next = 1;

  arm(rule: FaultRule): string {
    const id = rule.id ?? `fault-${this.#next++}`;
    this.disarm(id);
    this.#rules.push({
      rule: { ...rule, id },
      toSkip: rule.skip ?? 0,
      left: rule.times ?? 1,
      fired: 0,
      random: seededRandom(rule.seed ?? 1),
    });
    return id;
  }

  disarm(id: string): boolean {
    const before = this.#rules.length;
    this.#rules = this.#rules.filter((armed) => armed.rule.id !== id);
    return this.#rules.length < before;
  }

  clear(): void {
    this.#rules = [];
  }

  /** The action to take at this point now, or undefined. Consumes one firing of the rule that it returns. */
  take(point: string, attributes: Readonly<Record<string, unknown>> = {}): FaultAction | undefined {
    for (const armed of this.#rules) {
      const { rule } = armed;
      if (rule.point !== point || armed.left === 0) continue;
      if (!Object.entries(rule.match ?? {}).every(([name, value]) => attributes[name] === value)) continue;
      if (armed.toSkip > 0) {
        armed.toSkip -= 1;
        continue;
      }
      if (rule.probability !== undefined && armed.random() >= rule.probability) continue;
      if (armed.left > 0) armed.left -= 1;
      armed.fired += 1;
      return rule.action;
    }
    return undefined;
  }

  list(): readonly (FaultRule & { readonly fired: number; readonly left: number })[] {
    return this.#rules.map((armed) => ({ ...armed.rule, fired: armed.fired, left: armed.left }));
  }
}
