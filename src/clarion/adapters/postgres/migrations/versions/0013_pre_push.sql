-- Devices whose tokens are dead.

-- Tokens that a push service no longer knew. A profile that lists one does not bring it back, for it says nothing of the app; an app
-- that registers it does, and after some months it is forgotten. token_hmac: as in user_devices. user_id: whose it was.
CREATE TABLE dead_devices (
    tenant_id  uuid        NOT NULL,
    token_hmac bytea       NOT NULL,
    user_id    bigint      NOT NULL,
    died_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, token_hmac)
);
CREATE INDEX dead_devices_by_user ON dead_devices (user_id);
CREATE INDEX dead_devices_by_age ON dead_devices USING brin (died_at);

ALTER TABLE dead_devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_devices FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON dead_devices USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_devices TO clarion_pipeline;
GRANT SELECT ON dead_devices TO clarion_api;
