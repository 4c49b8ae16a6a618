import type { EventIds, Happening, Load, Outcome } from '@xva/flow-package';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface ControllerMetrics {
  happened(ids: EventIds, happening: Happening): void;
  ended(outcome: Outcome, tookMs: number, ageMs: number | undefined): void;
  hubError(code: string): void;
  checkpoint(ok: boolean): void;
  readonly inWork: Gauge;
}

const buckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** `load` is asked at each scrape. */
export function createMetrics(
  registry: Registry,
  load: () => Load & { readonly partitions: number },
): ControllerMetrics {
  const registers = [registry];
  const events = new Counter({
    name: 'xva_events_total',
    help: 'events by what became of them: submitted, existed, dead-lettered (with the reason)',
    labelNames: ['outcome', 'reason'],
    registers,
  });
  const eventSeconds = new Histogram({
    name: 'xva_event_seconds',
    help: 'seconds of work per event',
    buckets,
    registers,
  });
  const age = new Histogram({
    name: 'xva_event_age_seconds',
    help: 'seconds from the arrival in the hub to the end of the work',
    buckets,
    registers,
  });
  const steps = new Histogram({
    name: 'xva_step_seconds',
    help: 'seconds per step',
    labelNames: ['step'],
    buckets,
    registers,
  });
  const waits = new Counter({
    name: 'xva_waits_total',
    help: 'waits before another try, by step, kind and reason',
    labelNames: ['step', 'kind', 'reason'],
    registers,
  });
  const uploaded = new Counter({
    name: 'xva_uploaded_bytes_total',
    help: 'bytes of parts that were uploaded',
    registers,
  });
  const parts = new Counter({
    name: 'xva_parts_total',
    help: 'parts uploaded or found there',
    labelNames: ['how'],
    registers,
  });
  const hubErrors = new Counter({
    name: 'xva_hub_errors_total',
    help: 'errors of the hub, by code',
    labelNames: ['code'],
    registers,
  });
  const checkpoints = new Counter({
    name: 'xva_checkpoints_total',
    help: 'checkpoints',
    labelNames: ['outcome'],
    registers,
  });
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  const circuits = new Gauge({
    name: 'xva_circuit_open',
    help: '1 while a service is left alone, by service',
    labelNames: ['service'],
    registers,
    collect() {
      const { inputApi, jobApi } = load();
      this.set({ service: 'input-api' }, inputApi === 'closed' ? 0 : 1);
      this.set({ service: 'job-api' }, jobApi === 'closed' ? 0 : 1);
    },
  });
  circuits.reset();
  gauge('xva_partitions_owned', 'partitions that are read here', () => load().partitions);
  gauge('xva_transfers', 'parts in transfer', () => load().transfers);
  return {
    inWork: new Gauge({ name: 'xva_events_in_work', help: 'events being worked on', registers }),
    happened: (_ids, happening) => {
      const { step } = happening;
      if (happening.kind === 'done') steps.observe({ step }, happening.tookMs / 1000);
      else waits.inc({ step, kind: happening.failure.kind, reason: happening.failure.reason });
    },
    ended: (outcome, tookMs, ageMs) => {
      eventSeconds.observe(tookMs / 1000);
      if (ageMs !== undefined) age.observe(Math.max(0, ageMs) / 1000);
      if (outcome.outcome === 'dead-lettered') {
        events.inc({ outcome: 'dead-lettered', reason: outcome.failure.reason });
        return;
      }
      events.inc({ outcome: outcome.existed ? 'existed' : 'submitted', reason: '' });
      uploaded.inc(outcome.stored.uploadedBytes);
      parts.inc({ how: 'uploaded' }, outcome.stored.uploaded);
      parts.inc({ how: 'reused' }, outcome.stored.reused);
    },
    hubError: (code) => hubErrors.inc({ code }),
    checkpoint: (ok) => checkpoints.inc({ outcome: ok ? 'written' : 'failed' }),
  };
}
