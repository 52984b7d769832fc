-- The privacy ledger has a database of its own: it outlives Prefect's, and is backed up apart from it.
CREATE DATABASE lexveil_ledger;
