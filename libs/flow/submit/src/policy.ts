/** What an operator sets for all runs. Compiled from the configuration: nothing is optional here but what may be absent. */
export interface SubmitPolicy {
  readonly poolId: string;
  /** Container image of the engine; undefined = the command runs as a plain process on the node. */
  readonly image: string | undefined;
  /** What comes before `run` and `merge`, such as `xva-engine`. */
  readonly engineCommand: string;
  /** Resource id of the identity by which nodes reach Storage; undefined = public or SAS URLs. */
  readonly identityResourceId: string | undefined;
  /** A shard is meant to take about this long on one core. */
  readonly targetShardSeconds: number;
  readonly maxShards: number;
  /** Reactivations per task before its failure is final. */
  readonly maxTaskRetries: number;
  /** Attempt jobs that the reconciler opens by itself, the first one included. */
  readonly maxAttempts: number;
  /** Wait before the first reactivation of a task; doubles with each. */
  readonly taskRetryDelayMs: number;
  /** ISO 8601. */
  readonly jobMaxWallClockTime: string;
  readonly taskRetentionTime: string;
  /** Label of what this controller makes, where several environments share an account; the collector goes by it. */
  readonly environment?: string | undefined;
  /** Pool of spot nodes: where a run starts, when there is one. `poolId` is then where it goes on. */
  readonly spotPoolId?: string | undefined;
  /** Pool with more memory per slot: where tasks go that ran out of it. */
  readonly largePoolId?: string | undefined;
  /** Executions of a task on spot nodes (failures and preemptions together) before it goes to dedicated ones. Default 2. */
  readonly maxSpotAttempts?: number | undefined;
  /** A netting set that takes longer than this alone is split by trade, in CPU seconds. Absent = never. */
  readonly splitSetSeconds?: number | undefined;
  /** What node time costs. */
  readonly prices?: PriceTable | undefined;
  /** After this much time a slot-second of the past counts half against a desk. Default one hour. */
  readonly usageHalfLifeMs?: number | undefined;
}

export interface PriceTable {
  /** ISO 4217. */
  readonly currency: string;
  /** Price of a node-hour by pool id. */
  readonly perNodeHour: Readonly<Record<string, number>>;
}
