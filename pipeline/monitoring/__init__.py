"""Observation of runs: metrics, traces, and the comparison of each batch of documents with earlier ones."""
