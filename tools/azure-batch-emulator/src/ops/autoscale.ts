import { checkConditions } from '../http/conditions.ts';
import { jsonBody, type Backend, type Operation } from '../http/call.ts';
import { durationMicros, parseTime } from '../time.ts';
import { refusal } from '../wire/errors.ts';
import { enableAutoScaleShape, evaluateAutoScaleShape } from '../wire/pool-specs.ts';
import { checkFormula, defaultInterval } from './formula.ts';
import { changed, poolOf } from './pools.ts';

const enable: Operation = (backend, call) => {
  const given = enableAutoScaleShape(backend.shortest)(jsonBody(call), '') as {
    autoScaleFormula?: string;
    autoScaleEvaluationInterval?: string;
  };
  const { store, stamps, config } = backend;
  return store.transaction(() => {
    const row = poolOf(backend, call);
    checkConditions(call, row.modified, 'write');
    if (row.state === 'deleting') throw refusal('PoolBeingDeleted');
    if (row.allocation_state !== 'steady' && row.formula === null) throw refusal('PoolBeingResized');
    const formula = given.autoScaleFormula ?? row.formula;
    if (formula === null) throw refusal('MissingRequiredProperty', { PropertyName: 'autoScaleFormula' });
    checkFormula(formula);
    const now = stamps.next();
    const pause = config.limits.enableAutoscaleSeconds * 1_000_000;
    if (row.formula !== null && row.scale_set !== null && now - row.scale_set < pause) {
      const wait = Math.ceil((row.scale_set + pause - now) / 1_000_000);
      throw refusal('TooManyEnableAutoScaleRequests', {}, { 'retry-after': String(wait) });
    }
    const length = durationMicros(given.autoScaleEvaluationInterval ?? '');
    const interval = length ?? row.scale_interval ?? defaultInterval;
    store.pools.scaling(row.seq, { formula, interval, at: now }, now);
    backend.core.onWake(now);
    return changed(backend, call, 200);
  });
};

const disable: Operation = (backend, call) =>
  backend.store.transaction(() => {
    const row = poolOf(backend, call);
    if (row.state === 'deleting') throw refusal('PoolBeingDeleted');
    if (row.formula === null) throw refusal('AutoScaleNotEnabledOnPool');
    backend.store.pools.scaling(row.seq, undefined, backend.stamps.next());
    return changed(backend, call, 200);
  });

const evaluate: Operation = (backend: Backend, call) => {
  const { autoScaleFormula } = evaluateAutoScaleShape(jsonBody(call), '') as { autoScaleFormula: string };
  const row = poolOf(backend, call);
  if (row.formula === null) throw refusal('AutoScaleNotEnabledOnPool');
  const { stored } = backend.scaler.evaluate(row, autoScaleFormula);
  const headers = { 'last-modified': new Date((parseTime(stored.timestamp) ?? 0) / 1000).toUTCString() };
  const kind = 'Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun';
  return { status: 200, headers, json: { 'odata.metadata': `${call.base}/$metadata#${kind}`, ...stored } };
};

export const autoscaleOperations = { enable, disable, evaluate };
