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
-- Journeys and their immutable versions. definition: JSON as it was given; configuration, not personal.
CREATE TABLE IF NOT EXISTS journeys (
    journey_id   UUID PRIMARY KEY,
    tenant_id    UUID NOT NULL,
    name         TEXT NOT NULL,
    status       TEXT NOT NULL DEFAULT 'active',
    live_version INT4 NOT NULL DEFAULT 0,
    created_ms   INT8 NOT NULL,
    updated_ms   INT8 NOT NULL,
    UNIQUE (tenant_id, name)
);
CREATE TABLE IF NOT EXISTS journey_versions (
    journey_id UUID NOT NULL,
    version    INT4 NOT NULL,
    tenant_id  UUID NOT NULL,
    definition TEXT NOT NULL,
    created_ms INT8 NOT NULL,
    created_by TEXT NOT NULL DEFAULT '',
    note       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (journey_id, version)
);
-- Runs: the truth about where each stands, by ids and numbers only. progress: MessagePack (journeys.model.Progress).
-- entry_key: what makes a second entry a repeat. slot: one active run a slot. No index on a column that a transition changes
-- (but status, which changes once): transitions stay HOT.
CREATE TABLE IF NOT EXISTS journey_instances (
    instance_id     UUID PRIMARY KEY,
    tenant_id       UUID NOT NULL,
    journey_id      UUID NOT NULL,
    version         INT4 NOT NULL,
    user_id         INT8 NOT NULL,
    region          TEXT NOT NULL,
    is_test         BOOL NOT NULL,
    entry_key       BYTEA NOT NULL,
    slot            BYTEA NOT NULL,
    status          TEXT NOT NULL,
    seq             INT4 NOT NULL,
    step            TEXT NOT NULL,
    due_ms          INT8 NOT NULL,
    progress        BYTEA NOT NULL,
    context_version INT8 NOT NULL,
    entered_ms      INT8 NOT NULL,
    ended_ms        INT8 NOT NULL DEFAULT 0,
    reason          TEXT NOT NULL DEFAULT ''
) WITH (fillfactor = 60);
CREATE UNIQUE INDEX IF NOT EXISTS journey_instances_entries ON journey_instances (tenant_id, journey_id, user_id, entry_key);
CREATE UNIQUE INDEX IF NOT EXISTS journey_instances_slots ON journey_instances (tenant_id, journey_id, user_id, slot) WHERE status = 'active';
CREATE INDEX IF NOT EXISTS journey_instances_active ON journey_instances (region, instance_id) WHERE status = 'active';
CREATE INDEX IF NOT EXISTS journey_instances_by_user ON journey_instances (tenant_id, user_id, instance_id);
CREATE INDEX IF NOT EXISTS journey_instances_by_journey ON journey_instances (journey_id, instance_id);
-- What happened at steps, a row a day. what: a type of contracts.journey_events, or type:detail (an arm, a goal).
CREATE TABLE IF NOT EXISTS journey_counts (
    tenant_id  UUID NOT NULL,
    journey_id UUID NOT NULL,
    version    INT4 NOT NULL,
    day        INT4 NOT NULL,
    step       TEXT NOT NULL,
    what       TEXT NOT NULL,
    n          INT8 NOT NULL,
    took_ms    INT8 NOT NULL,
    PRIMARY KEY (tenant_id, journey_id, version, day, step, what)
);
-- Journey events on their way to the log, a row a committed batch.
CREATE TABLE IF NOT EXISTS journey_outbox (
    outbox_id UUID PRIMARY KEY,
    region    TEXT NOT NULL,
    events    INT4 NOT NULL,
    payload   BYTEA NOT NULL
);
-- Moves of running instances to another version. plan: JSON (what becomes of each step). journey_moves.undo: where a run stood
-- (MessagePack, journeys.migrate.Stand).
CREATE TABLE IF NOT EXISTS journey_migrations (
    migration_id UUID PRIMARY KEY,
    tenant_id    UUID NOT NULL,
    journey_id   UUID NOT NULL,
    from_version INT4 NOT NULL,
    to_version   INT4 NOT NULL,
    plan         TEXT NOT NULL,
    status       TEXT NOT NULL,
    percent      INT4 NOT NULL,
    moved        INT8 NOT NULL DEFAULT 0,
    left_alone   INT8 NOT NULL DEFAULT 0,
    created_ms   INT8 NOT NULL,
    updated_ms   INT8 NOT NULL
);
CREATE INDEX IF NOT EXISTS journey_migrations_by_journey ON journey_migrations (journey_id, migration_id);
CREATE TABLE IF NOT EXISTS journey_moves (
    migration_id UUID NOT NULL,
    instance_id  UUID NOT NULL,
    undo         BYTEA NOT NULL,
    PRIMARY KEY (migration_id, instance_id)
);
-- How far the entries of schedules, dates and segments have been worked off. at_ms: the last moment that is done.
CREATE TABLE IF NOT EXISTS journey_cursors (
    journey_id UUID NOT NULL,
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,
    at_ms      INT8 NOT NULL,
    PRIMARY KEY (journey_id, region, name)
);
