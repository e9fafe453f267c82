-- Devices of their own: a user has several, and a token reaches one user of a tenant at a time.

-- token_hmac finds a token without opening it, and names the device to its tenant; the token itself is sealed with the user's key.
-- with_profile: written with the profile, whose next version replaces it; the others came by themselves, and go when they are stale.
CREATE TABLE user_devices (
    tenant_id    uuid        NOT NULL,
    token_hmac   bytea       NOT NULL,
    user_id      bigint      NOT NULL,
    platform     text        NOT NULL CHECK (platform IN ('ios', 'android', 'web')),
    sealed       bytea       NOT NULL,
    with_profile boolean     NOT NULL,
    last_seen    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, token_hmac)
) WITH (fillfactor = 80);
CREATE INDEX user_devices_by_user ON user_devices (user_id);
CREATE INDEX user_devices_by_age ON user_devices (last_seen) WHERE NOT with_profile;

ALTER TABLE user_devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_devices FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON user_devices USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON user_devices TO clarion_pipeline;
GRANT SELECT ON user_devices TO clarion_api;
