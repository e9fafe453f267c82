-- Which generation of a tenant's webhook secret signs what its journeys tell. The secrets are not kept: each follows from the region's
-- root key, the tenant and the generation. A tenant without a row is in generation 1.
CREATE TABLE journey_webhook_keys (
    tenant_id   uuid        NOT NULL PRIMARY KEY,
    generation  integer     NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE journey_webhook_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE journey_webhook_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON journey_webhook_keys USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON journey_webhook_keys TO clarion_pipeline;
GRANT SELECT ON journey_webhook_keys TO clarion_api;
