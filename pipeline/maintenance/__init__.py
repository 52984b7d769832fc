"""Maintenance of a workspace: erasure, backup and recovery, key rotation, and the ledger."""
