-- Keys, catalogue, log and privacy ledger have a database of their own: it outlives Prefect's, and is backed up
-- apart from it. So has the endpoint, whose user may use no other. What is there already stays: after an upgrade,
--   docker compose -f deploy/compose.yaml exec database psql -U lexveil -f /docker-entrypoint-initdb.d/database.sql prefect
\set ON_ERROR_STOP on
\getenv password ENDPOINT_PASSWORD
SELECT 'CREATE DATABASE lexveil' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'lexveil') \gexec
SELECT format('CREATE ROLE endpoint LOGIN PASSWORD %L', :'password')
    WHERE :'password' <> '' AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'endpoint') \gexec
SELECT 'CREATE DATABASE endpoint OWNER endpoint' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'endpoint')
    AND NOT EXISTS (SELECT FROM pg_database WHERE datname = 'endpoint') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
    WHERE datname IN ('endpoint', 'lexveil', 'postgres', 'prefect') \gexec
