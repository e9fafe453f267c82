-- What a run of a journey knows that may be personal: sealed with the user's own key, and nowhere else. The run itself (ids, steps,
-- times) is on the global store, and names the version that belongs to its state.
CREATE TABLE journey_contexts (
    instance_id uuid        NOT NULL,
    version     bigint      NOT NULL,
    tenant_id   uuid        NOT NULL,
    user_id     bigint      NOT NULL,
    sealed      bytea       NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance_id, version)
);
CREATE INDEX journey_contexts_by_user ON journey_contexts (tenant_id, user_id);
ALTER TABLE journey_contexts ENABLE ROW LEVEL SECURITY;
ALTER TABLE journey_contexts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON journey_contexts USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON journey_contexts TO clarion_pipeline;
GRANT SELECT ON journey_contexts TO clarion_api;
