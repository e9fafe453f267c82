-- The gateway: what a test credential asked for, how much a tenant may ask in a day, and whose signed tokens are believed.

-- It goes to sandboxes only. On the notification alone: whoever sends reads that row together with the open delivery.
ALTER TABLE notifications ADD COLUMN is_test boolean NOT NULL DEFAULT false;

-- Most notifications that are accepted in one calendar day of the tenant's zone. NULL: no limit.
ALTER TABLE tenant_settings ADD COLUMN daily_quota bigint CHECK (daily_quota >= 0);

-- Who may sign tokens for a tenant. `sealed_keys`: the key set, sealed, for it may hold secrets; empty where it is read from
-- `jwks_url`. A token names its issuer and its audience: together they mean one tenant, whoever came first.
CREATE TABLE token_issuers (
    tenant_id   uuid        NOT NULL,
    name        text        NOT NULL,
    issuer      text        NOT NULL,
    audience    text        NOT NULL,
    environment text        NOT NULL CHECK (environment IN ('live', 'test')),
    algorithms  text[]      NOT NULL,
    scopes      text[]      NOT NULL,
    jwks_url    text        NOT NULL DEFAULT '',
    sealed_keys bytea       NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name),
    UNIQUE (issuer, audience)
);
ALTER TABLE token_issuers ENABLE ROW LEVEL SECURITY;
ALTER TABLE token_issuers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON token_issuers USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON token_issuers TO clarion_pipeline;
GRANT SELECT ON token_issuers TO clarion_api;
