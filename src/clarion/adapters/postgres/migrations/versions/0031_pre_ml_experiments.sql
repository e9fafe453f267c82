-- Which writing of `ml` this is: who writes over another's word has to have seen it.
ALTER TABLE tenant_settings ADD COLUMN ml_version integer NOT NULL DEFAULT 1;
-- Settings that were replaced, so that they can be seen and put back. `replaced_by`: who did it.
CREATE TABLE ml_settings_history (
    tenant_id   uuid        NOT NULL,
    version     integer     NOT NULL,
    settings    jsonb       NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaced_by text        NOT NULL,
    PRIMARY KEY (tenant_id, version)
);
-- What other policies would have brought, by what was tried; the latest of each tenant.
CREATE TABLE ml_estimates (
    tenant_id uuid        PRIMARY KEY,
    from_at   timestamptz NOT NULL,
    to_at     timestamptz NOT NULL,
    report    jsonb       NOT NULL
);
-- When the first user of a tenant was held out. What came before is the same of everybody.
ALTER TABLE ml_proof_turns ADD COLUMN held_out_from timestamptz;
-- Experiments of a tenant, one at a time. `result`: what was measured last; which user is in which arm follows from her number.
CREATE TABLE ml_experiments (
    tenant_id     uuid        NOT NULL,
    experiment_id uuid        NOT NULL,
    name          text        NOT NULL,
    plan          jsonb       NOT NULL,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped_at    timestamptz,
    measured_at   timestamptz,
    result        jsonb,
    PRIMARY KEY (tenant_id, experiment_id)
);
CREATE UNIQUE INDEX ml_experiments_running ON ml_experiments (tenant_id) WHERE stopped_at IS NULL;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['ml_settings_history', 'ml_estimates', 'ml_experiments'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
