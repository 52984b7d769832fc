"""How work is started: the command line, Prefect flows and deployments, and runners for shards."""
