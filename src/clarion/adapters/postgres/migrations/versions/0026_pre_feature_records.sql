-- What is known of users' behaviour, packed (`intelligence.features.RECORD`): the memory behind the store in Valkey, a minute behind it.
-- painted_at: when the profile was last told what it means; scores of the silent fall with time, so they are painted anew every day.
CREATE TABLE feature_records (
    user_id    bigint      PRIMARY KEY,
    tenant_id  uuid        NOT NULL,
    sequence   bigint      NOT NULL,
    record     bytea       NOT NULL,
    as_of      timestamptz NOT NULL,
    painted_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
-- Numbers and flags: not worth the time to compress, and always read as a whole.
ALTER TABLE feature_records ALTER COLUMN record SET STORAGE EXTERNAL;
CREATE INDEX feature_records_by_tenant ON feature_records (tenant_id, user_id);
CREATE INDEX feature_records_by_age ON feature_records (painted_at);
ALTER TABLE feature_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE feature_records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON feature_records USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON feature_records TO clarion_pipeline;
GRANT SELECT ON feature_records TO clarion_api;
