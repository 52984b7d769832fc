"""Training under differential privacy: its data, its hyper-parameters and its place in the ledger."""
