"""One shard: package in, accepted tables out."""
