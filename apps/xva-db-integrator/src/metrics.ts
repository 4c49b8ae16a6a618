import type { PollOutcome } from '@xva/flow-detect';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface IntegratorMetrics {
  polled(definition: string, outcome: PollOutcome, tookMs: number): void;
  ticks(definition: string, outcome: 'run' | 'dropped', count: number): void;
  gap(definition: string): void;
}

export function createMetrics(registry: Registry): IntegratorMetrics {
  const registers = [registry];
  const polls = new Counter({
    name: 'xva_integrator_polls_total',
    help: 'polls by what they found',
    labelNames: ['definition', 'finding'],
    registers,
  });
  const rows = new Counter({
    name: 'xva_integrator_rows_total',
    help: 'rows by what became of them',
    labelNames: ['definition', 'outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'xva_integrator_poll_seconds',
    help: 'seconds per poll, from the claim to the last row',
    labelNames: ['definition', 'finding'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
    registers,
  });
  const ticks = new Counter({
    name: 'xva_integrator_ticks_total',
    help: 'ticks of the schedules that were run or dropped by policy',
    labelNames: ['definition', 'outcome'],
    registers,
  });
  const gaps = new Counter({
    name: 'xva_integrator_gaps_total',
    help: 'times that changes may have been missed and everything was read again',
    labelNames: ['definition'],
    registers,
  });
  const last = new Gauge({
    name: 'xva_integrator_last_poll_timestamp_seconds',
    help: 'when a definition was last polled without trouble',
    labelNames: ['definition'],
    registers,
  });
  return {
    polled: (definition, { finding, rows: outcomes }, tookMs) => {
      polls.inc({ definition, finding });
      seconds.observe({ definition, finding }, tookMs / 1000);
      for (const { outcome } of outcomes) rows.inc({ definition, outcome });
      if (finding !== 'trouble') last.setToCurrentTime({ definition });
    },
    ticks: (definition, outcome, count) => ticks.inc({ definition, outcome }, count),
    gap: (definition) => gaps.inc({ definition }),
  };
}
