-- What each learned feature was found to bring to a tenant, the latest proof of each. What is proven by is in `notifications`: every
-- decision is kept there with its candidates, propensity and holdout, beside what came of it; erased, exported and retired with it.
CREATE TABLE ml_proofs (
    tenant_id   uuid        NOT NULL,
    feature     text        NOT NULL,
    from_at     timestamptz NOT NULL,
    to_at       timestamptz NOT NULL,
    lift        jsonb       NOT NULL,
    returned    boolean     NOT NULL,
    returned_at timestamptz,
    PRIMARY KEY (tenant_id, feature)
);
-- When a tenant was last looked at: one process at a time, and not too often.
CREATE TABLE ml_proof_turns (
    tenant_id uuid        PRIMARY KEY,
    taken_at  timestamptz NOT NULL
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['ml_proofs', 'ml_proof_turns'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
