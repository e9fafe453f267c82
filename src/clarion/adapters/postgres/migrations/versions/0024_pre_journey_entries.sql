-- Who was in a segment when a journey that begins from it last looked: whoever is there and not here has come in.
CREATE TABLE journey_members (
    journey_id uuid   NOT NULL,
    segment    text   NOT NULL,
    user_id    bigint NOT NULL,
    tenant_id  uuid   NOT NULL,
    PRIMARY KEY (journey_id, segment, user_id)
);
CREATE INDEX journey_members_by_user ON journey_members (tenant_id, user_id);
ALTER TABLE journey_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE journey_members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON journey_members USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON journey_members TO clarion_pipeline;
GRANT SELECT ON journey_members TO clarion_api;
