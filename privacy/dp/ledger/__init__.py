"""The privacy ledger: what each population has spent, in an append-only chain of entries."""
