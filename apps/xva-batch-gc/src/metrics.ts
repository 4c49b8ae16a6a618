import type { SweepAct, SweepReport } from '@xva/flow-sweep';
import { Counter, Gauge, type Registry } from 'prom-client';

export interface SweepMetrics {
  marked(report: SweepReport): void;
  acted(acts: readonly SweepAct[]): void;
  cycle(outcome: 'marked' | 'swept' | 'refused' | 'stopped' | 'failed', at: Date): void;
  throttled(limit: number): void;
}

/** Reasons go into labels up to their first colon: what follows names single things. */
const shortReason = (act: SweepAct): string => (act.outcome === 'failed' ? 'error' : (act.reason.split(':')[0] ?? ''));

export function createMetrics(registry: Registry): SweepMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const items = gauge('xva_gc_marked_items', 'items that the last mark would take', ['kind']);
  const bytes = gauge('xva_gc_marked_bytes', 'bytes of the blobs that the last mark would take', ['kind']);
  const tasks = gauge('xva_gc_marked_tasks', 'tasks that the last mark would take', ['kind']);
  const saved = gauge('xva_gc_saved_per_month', 'estimated cost saved by what the last mark would take', ['currency']);
  const kept = gauge('xva_gc_kept_items', 'items that the last mark kept', ['kind', 'reason']);
  const acts = counter('xva_gc_acts_total', 'sweep acts', ['kind', 'outcome', 'reason']);
  const freed = counter('xva_gc_swept_bytes_total', 'bytes of what was swept', ['kind']);
  const quota = counter(
    'xva_gc_active_jobs_freed_total',
    'active jobs that were ended or deleted: quota of the Batch account',
  );
  const cycles = counter('xva_gc_cycles_total', 'cycles', ['outcome']);
  const last = gauge('xva_gc_last_cycle_timestamp_seconds', 'end of the last cycle that did not fail');
  const limit = gauge('xva_gc_storage_parallelism', 'requests in flight after Storage last said to slow down');
  return {
    marked: (report) => {
      for (const one of [items, bytes, tasks, kept]) one.reset();
      for (const [kind, total] of Object.entries(report.classes)) {
        items.set({ kind }, total.items);
        bytes.set({ kind }, total.bytes);
        tasks.set({ kind }, total.tasks);
      }
      for (const [name, count] of Object.entries(report.kept)) {
        const [kind = '', reason = ''] = name.split(':');
        kept.set({ kind, reason }, count);
      }
      if (report.saved !== null) saved.set({ currency: report.saved.currency }, report.saved.perMonth);
    },
    acted: (done) => {
      for (const act of done) {
        acts.inc({ kind: act.kind, outcome: act.outcome, reason: shortReason(act) });
        if (act.outcome === 'swept') freed.inc({ kind: act.kind }, act.bytes);
        const active = act.reason === 'job-active-though-run-over' || act.reason === 'nothing-to-run';
        if (act.kind === 'job' && act.outcome === 'swept' && active) quota.inc();
      }
    },
    cycle: (outcome, at) => {
      cycles.inc({ outcome });
      if (outcome !== 'failed') last.set(at.getTime() / 1000);
    },
    throttled: (now) => limit.set(now),
  };
}
