import { createHash } from 'node:crypto';
import type { FaultAction, FaultBoard } from '@xva/emulator-kit';
import type { StatementHook } from './run/batch.ts';
import { pause } from './run/pause.ts';
import type { Session } from './run/session.ts';
import { deadlockVictim } from './engine/locks.ts';
import { SqlError } from './types/sql-error.ts';

/** Thrown where a fault cuts the connection; nothing more is sent. */
export class Dropped extends Error {
  constructor() {
    super('the connection was dropped by a fault');
    this.name = 'Dropped';
  }
}

/** First comment of a batch, which names the statement: a block comment or a line comment at its start. */
export function tagOf(text: string): string {
  const match = /^\s*(?:\/\*\s*([^]*?)\s*\*\/|--\s*(.*))/.exec(text);
  return (match?.[1] ?? match?.[2] ?? '').trim();
}

/** First 16 hex digits of the SHA-256 of a batch's text. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

const messages: Readonly<Record<number, readonly [severity: number, message: string]>> = {
  1222: [16, 'Lock request time out period exceeded.'],
  4060: [11, 'Cannot open database requested by the login. The login failed.'],
  10928: [16, 'Resource ID : 1. The request limit for the database has been reached.'],
  10929: [16, 'Resource ID : 1. The server is currently too busy to support requests.'],
  18456: [14, 'Login failed for user.'],
  40197: [17, 'The service has encountered an error processing your request. Please try again.'],
  40501: [20, 'The service is currently busy. Retry the request after 10 seconds.'],
  40613: [17, 'Database is not currently available. Please retry the connection later.'],
  49918: [16, 'Cannot process request. Not enough resources to process request.'],
};

/** The error of an `error` action: its own message, or the known one of its number. */
export function faultError(action: FaultAction, sessionId: number): SqlError {
  const number = Number(action['number'] ?? 40_613);
  if (number === 1205) return deadlockVictim(sessionId);
  const [severity, message] = messages[number] ?? [16, `fault ${number}`];
  return new SqlError(number, typeof action['message'] === 'string' ? action['message'] : message, severity);
}

export interface FaultTarget {
  /** Closes the socket at once. */
  drop(): void;
  /** Closes it after this many rows of the next result. */
  dropAfterRows(rows: number): void;
}

/** Applies the board's `statement` faults around each statement of one batch. */
export function statementFaults(board: FaultBoard, session: Session, text: string, target: FaultTarget): StatementHook {
  const tag = tagOf(text);
  let pending: FaultAction | undefined;
  return {
    async before(statement, signal) {
      pending = undefined;
      if (board.list().length === 0) return;
      const action = board.take('statement', {
        kind: statement.kind,
        tag,
        hash: hashOf(text),
        database: session.database.name,
        login: session.login,
      });
      switch (action?.kind) {
        case undefined:
          return;
        case 'latency':
          await pause(Number(action['ms'] ?? 100), signal);
          return;
        case 'error':
          if (action['after'] !== true) throw faultError(action, session.id);
          pending = action;
          return;
        case 'drop':
          if (action['after'] === true) pending = action;
          else {
            target.drop();
            throw new Dropped();
          }
          return;
        case 'dropMidResult':
          target.dropAfterRows(Number(action['rows'] ?? 1));
          return;
        default:
          throw new SqlError(
            50_997,
            `the simulator has no statement fault '${String(action?.kind)}': latency, error, drop, dropMidResult`,
          );
      }
    },
    after() {
      const action = pending;
      pending = undefined;
      if (action?.kind === 'drop') {
        target.drop();
        throw new Dropped();
      }
      if (action?.kind === 'error') throw faultError(action, session.id);
    },
  };
}
