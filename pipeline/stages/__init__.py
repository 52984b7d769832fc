"""The stages: each turns the output of the stage before into its own, shard by shard where it can."""
