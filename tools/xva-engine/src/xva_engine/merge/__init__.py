"""The union of a run's shards."""
