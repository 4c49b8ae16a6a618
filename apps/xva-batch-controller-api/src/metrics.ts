import type { RunRecord } from '@xva/contracts';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  readonly reconciled: (result: string, tookMs: number) => void;
  readonly alerted: (code: string) => void;
  readonly requested: (route: string, method: string, status: number, seconds: number) => void;
}

/** @param records open runs, read when the metrics are */
export function createMetrics(records: () => readonly RunRecord[]): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const passes = new Counter({
    name: 'xva_reconcile_passes_total',
    help: 'passes over a run by how they ended',
    labelNames: ['result'],
    registers,
  });
  const passSeconds = new Histogram({
    name: 'xva_reconcile_pass_seconds',
    help: 'time of one pass over a run',
    buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    registers,
  });
  const alerts = new Counter({
    name: 'xva_alerts_total',
    help: 'what a person should know at once, such as a deadline that was missed',
    labelNames: ['code'],
    registers,
  });
  const requests = new Histogram({
    name: 'xva_http_request_seconds',
    help: 'time of HTTP requests',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    registers,
  });
  new Gauge({
    name: 'xva_open_runs',
    help: 'runs that are not over, by state',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset();
      for (const record of records()) this.inc({ state: record.state });
    },
  });
  return {
    registry,
    reconciled: (result, tookMs) => {
      passes.inc({ result });
      passSeconds.observe(tookMs / 1000);
    },
    alerted: (code) => alerts.inc({ code }),
    requested: (route, method, status, seconds) => requests.observe({ route, method, status: String(status) }, seconds),
  };
}
