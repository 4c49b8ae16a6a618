import { identityOf, readRequest } from '@xva/flow-detect';
import type { RowState } from '@xva/sql-polling';

export interface Explanation {
  readonly definition: string;
  readonly requestId: string;
  /** Whether the next poll would publish it. */
  readonly fires: boolean;
  readonly eventId: string | null;
  readonly runId: string | null;
  readonly state: RowState['state'] | 'not-valid';
  readonly why: string;
}

/** What would become of a row now, without touching it. */
export function explainRow(definition: string, state: RowState): Explanation {
  const { requestId } = state;
  const reading =
    state.row === undefined ? ({ outcome: 'invalid', reason: state.detail } as const) : readRequest(state.row);
  if (reading.outcome === 'invalid') {
    const settled = state.state === 'poison';
    const why = settled ? state.detail : reading.reason;
    return {
      definition,
      requestId,
      fires: false,
      eventId: null,
      runId: null,
      state: settled ? 'poison' : 'not-valid',
      why,
    };
  }
  const { eventId, runId } = identityOf(definition, reading.key, state.version);
  const fires = state.state === 'due' || state.state === 'lease-expired';
  return { definition, requestId, fires, eventId, runId, state: state.state, why: state.detail };
}

export function explanationText(one: Explanation): string {
  const target = one.runId === null ? '' : ` → ${one.runId} (event ${one.eventId ?? ''})`;
  return `${one.fires ? 'fires' : 'stays'} ${one.definition} ${one.requestId} ${one.state}: ${one.why}${target}`;
}
