-- name: lock_migrations
-- One migration at a time on a server; held until the connection closes.
SELECT pg_advisory_lock(7245001)

-- name: find_roles
-- The roles that are there already, with what matters for tenant isolation.
SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = ANY($1::text[])

-- name: compose_create_role
-- $3: whether row-level security leaves the role alone.
SELECT format('CREATE ROLE %I LOGIN PASSWORD %L %s', $1::text, $2::text, CASE WHEN $3::bool THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END)

-- name: compose_alter_role
-- Password and, only where it differs (it takes more rights), BYPASSRLS.
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L %s', $1::text, $2::text,
              CASE WHEN $3::bool = $4::bool THEN '' WHEN $3 THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END)

-- name: find_databases
-- Which of these databases exist.
SELECT datname FROM pg_database WHERE datname = ANY($1::text[])

-- name: compose_create_database
-- From template0: the only template whose encoding may differ.
SELECT format('CREATE DATABASE %I ENCODING ''UTF8'' TEMPLATE template0', $1::text)

-- name: compose_close_database
-- Nobody connects who is not named: by default everyone may.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $1::text)

-- name: compose_open_database
-- Connecting, and temporary tables (accepts with derived ids go through one).
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', $1::text, $2::text)

-- name: has_history
-- Whether any migration ever ran here.
SELECT to_regclass('public.alembic_version') IS NOT NULL

-- name: current_revision
-- The last migration that ran.
SELECT version_num FROM alembic_version

-- name: let_schema_be_used
-- In a database whose tables the pipeline role makes itself (the global store, as on CockroachDB).
GRANT USAGE, CREATE ON SCHEMA public TO clarion_pipeline

-- name: ensure_partitions
-- Partitions from yesterday to three days ahead: an instance that slept for a week accepts at once.
SELECT ensure_partitions(3)
