"""Runners that process the shards of a flow: worker processes, Dask and Ray."""
