-- What accounts may be asked of, what tenants may spend, and what they spent.
-- The previous release writes rows without these columns, which then hold what nobody set.

ALTER TABLE providers ADD COLUMN quota jsonb NOT NULL DEFAULT '{}';

ALTER TABLE tenant_settings ADD COLUMN spending jsonb NOT NULL DEFAULT '{}';

-- What was sent and spent, by day of the tenant's zone. Workers add to it each second; a row is touched by each of them, so it is
-- narrow, and what changes is in no index. `mean_micros`: what it would have cost if providers had been drawn by lot.
CREATE TABLE cost_days (
    tenant_id   uuid    NOT NULL,
    day         date    NOT NULL,
    provider    text    NOT NULL,
    channel     text    NOT NULL,
    category    text    NOT NULL,
    country     text    NOT NULL,
    is_test     boolean NOT NULL,
    sent        bigint  NOT NULL,
    segments    bigint  NOT NULL,
    micros      bigint  NOT NULL,
    mean_micros bigint  NOT NULL,
    PRIMARY KEY (tenant_id, day, provider, channel, category, country, is_test)
) WITH (fillfactor = 60);

ALTER TABLE cost_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE cost_days FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON cost_days USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON cost_days TO clarion_pipeline;
GRANT SELECT ON cost_days TO clarion_api;
