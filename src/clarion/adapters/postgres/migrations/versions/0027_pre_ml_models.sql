-- Models of tenants, every version that was ever fitted: the artefact with its checksum, on what time it was fitted, how it did on
-- time that it had not seen, and why it serves or does not. At most one of a tenant and kind is live.
CREATE TABLE ml_models (
    tenant_id  uuid        NOT NULL,
    name       text        NOT NULL,
    number     integer     NOT NULL,
    status     text        NOT NULL CHECK (status IN ('shadow', 'live', 'refused', 'retired')),
    parent     text        NOT NULL DEFAULT '',
    reason     text        NOT NULL DEFAULT '',
    from_at    timestamptz NOT NULL,
    to_at      timestamptz NOT NULL,
    metrics    jsonb       NOT NULL DEFAULT '{}',
    checksum   bytea       NOT NULL,
    artefact   bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    live_at    timestamptz,
    PRIMARY KEY (tenant_id, name)
);
CREATE UNIQUE INDEX ml_models_live ON ml_models (tenant_id) WHERE status = 'live';

-- When a tenant's models are fitted next: asked for, or a day after the last time. One process at a time has the lease.
CREATE TABLE ml_trainings (
    tenant_id    uuid        PRIMARY KEY,
    asked_at     timestamptz,
    leased_until timestamptz,
    ended_at     timestamptz,
    watched_at   timestamptz,
    outcome      text        NOT NULL DEFAULT ''
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['ml_models', 'ml_trainings'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
