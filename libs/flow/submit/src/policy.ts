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
}
