"""Differentially private training: accounting, ledger, clipping, sampling, noise, and the training loop."""
