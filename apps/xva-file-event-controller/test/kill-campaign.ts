import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '@xva/contracts';
import { letLongTimersGo, type SampleEvent } from '@xva/testkit';
import { FaultyProxy, proxyFaults } from './faulty-proxy.ts';
import { Lab, startInputApiChild } from './lab.ts';
import { until, type RunningApp } from './processes.ts';

/** What a campaign tried and what it broke. */
export interface Campaign {
  readonly summary: string;
  readonly faults: readonly string[];
}

/** See `soak/event-kills.soak.ts`. */
export async function killCampaign(seed: number, kills: number, print: (line: string) => void): Promise<Campaign> {
  letLongTimersGo();
  let state = seed >>> 0;
  function random(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  const folder = mkdtempSync(join(tmpdir(), 'xva-event-kills-'));
  const hub = 'load';
  const lab = await new Lab().start([hub], 4, folder);
  const { blobEndpoint, connectionString } = lab.azurite;
  const proxy = await new FaultyProxy(blobEndpoint).start();
  lab.storage = connectionString.replace(new URL(blobEndpoint).origin, proxy.url);
  let api = await startInputApiChild('none');
  const settings = { inputApiUrl: api.url, balanceIntervalMs: 200, ownershipExpiryMs: 1_000, eventBudgetMs: 600_000 };
  const apps: RunningApp[] = [await lab.run(hub, settings), await lab.run(hub, settings)];
  proxy.chance = () => (random() < 0.02 ? proxyFaults[Math.floor(random() * proxyFaults.length)] : undefined);

  const good: SampleEvent[] = [];
  const poison: Buffer[] = [];
  let isOver = false;

  /** Hub and Storage are being killed and restarted: at least once, as any producer does. */
  async function insisting<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act();
      } catch {
        await pause(200);
      }
    }
  }

  async function load(): Promise<void> {
    while (!isOver) {
      const fresh = [await insisting(() => lab.freeze()), await insisting(() => lab.freeze())];
      const bad = random() < 0.1 ? [Buffer.from(`no event ${poison.length} of seed ${seed}`)] : [];
      good.push(...fresh);
      poison.push(...bad);
      await insisting(() => lab.send(hub, [...fresh, ...bad]));
      await pause(100 + random() * 200);
    }
  }

  const victims: Readonly<Record<string, () => Promise<void>>> = {
    controller: async () => {
      const which = random() < 0.5 ? 0 : 1;
      apps[which]?.kill('SIGKILL');
      await apps[which]?.exited;
      apps[which] = await lab.run(hub, settings);
    },
    'hub emulator': () => lab.emulator.restart(),
    'input API': async () => {
      api.child.kill('SIGKILL');
      await api.exited;
      await pause(random() * 300);
      api = await startInputApiChild('none', api.port);
    },
  };

  const tally: Record<string, number> = {};
  const faults: string[] = [];
  const loading = load();
  try {
    const names = Object.keys(victims);
    for (let kill = 1; kill <= kills; kill += 1) {
      await pause(random() * 600);
      const name = names[Math.floor(random() * names.length)] ?? 'controller';
      tally[name] = (tally[name] ?? 0) + 1;
      await victims[name]?.();
      if (kill % 40 === 0) {
        tally['orderly restart of Azurite'] = (tally['orderly restart of Azurite'] ?? 0) + 1;
        await lab.azurite.restart();
      }
      if (kill % 20 === 0) print(`${kill} kills, ${good.length + poison.length} events`);
    }
    isOver = true;
    await loading;
    proxy.chance = undefined;
    const letterOf = (bytes: Buffer): string => `raw-${sha256Hex(bytes).slice(0, 32)}.json`;
    await until(
      async () => {
        if (!good.every((sample) => lab.jobApi.runs.has(sample.event.id))) return false;
        const letters = await lab.letters();
        return poison.every((bytes) => letters.includes(letterOf(bytes)));
      },
      'every event has ended',
      120_000,
    ).catch((error: unknown) => faults.push(String(error)));
    for (const sample of good) {
      const { event, packageId } = sample;
      const asked = lab.jobApi.server.requests.filter(
        ({ method, body }) => method === 'POST' && body.includes(event.id),
      );
      if (!lab.hasRun(sample)) faults.push(`event ${event.id} is no job`);
      if (!asked.every(({ body }) => body.includes(packageId))) faults.push(`event ${event.id} asked for two packages`);
    }
    const expected = new Set(poison.map(letterOf));
    for (const letter of await lab.letters())
      if (!expected.has(letter)) faults.push(`dead letter ${letter} of a good event`);
    faults.push(...(await lab.faultsOfStorage()));
  } catch (error) {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    isOver = true;
    api.child.kill('SIGKILL');
    await lab.stop();
    await proxy.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const killed = Object.entries(tally).map(([name, count]) => `${name} ${count}`);
  const summary =
    `seed ${seed}: ${good.length} events and ${poison.length} that are none; killed: ${killed.join(', ')}; ` +
    `${proxy.dealt} faults of Storage; ${lab.jobApi.runs.size} jobs; ${faults.length} broken promises`;
  return { summary, faults };
}
