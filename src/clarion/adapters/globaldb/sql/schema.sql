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
