-- The global store: statements that CockroachDB and PostgreSQL both run. Ids only, no PII. Later work (journeys, regions) adds its tables.
CREATE TABLE IF NOT EXISTS tenants (
    tenant_id   UUID PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    home_region TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS global_configs (
    name       TEXT PRIMARY KEY,
    value      JSONB NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
-- How accounts with providers do in each region; a region writes its own rows.
CREATE TABLE IF NOT EXISTS provider_health (
    tenant_id        UUID NOT NULL,
    provider         TEXT NOT NULL,
    region           TEXT NOT NULL,
    state            TEXT NOT NULL,
    reason           TEXT NOT NULL,
    since_ms         INT8 NOT NULL,
    delivery_rate    FLOAT8 NOT NULL,
    error_rate       FLOAT8 NOT NULL,
    p99_ms           FLOAT8 NOT NULL,
    attempts_per_min FLOAT8 NOT NULL,
    updated_ms       INT8 NOT NULL,
    PRIMARY KEY (tenant_id, provider, region)
);
-- Erasures, as keyed hashes and numbers: kept apart from the regions' data, so that it outlives what their backups restore.
CREATE TABLE IF NOT EXISTS erasure_ledger (
    erasure_id   UUID PRIMARY KEY,
    tenant_id    UUID NOT NULL,
    region       TEXT NOT NULL,
    subject      BYTEA NOT NULL,
    user_ids     INT8[] NOT NULL,
    requested_ms INT8 NOT NULL
);
