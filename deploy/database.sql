-- Keys, catalogue, log and privacy ledger have a database of their own: it outlives Prefect's, and is backed up
-- apart from it.
CREATE DATABASE lexveil;
