"""Differential privacy of training: accounting, ledger, clipping, sampling, noise, and their loop."""
