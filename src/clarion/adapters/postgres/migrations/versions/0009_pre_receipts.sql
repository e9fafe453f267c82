-- What receipts of vendors need: whose they are, which delivery they are about, and which addresses stay silent.

-- NULL: made by ourselves (the sandbox, links), about whatever it names.
ALTER TABLE receipt_inbox ADD COLUMN tenant_id uuid;

-- Deliveries by what their provider calls them, for providers whose receipts cannot name ours. Kept for four days.
CREATE TABLE provider_message_ids (
    tenant_id  uuid        NOT NULL,
    provider   text        NOT NULL,
    message_id text        NOT NULL,
    global_id  uuid        NOT NULL,
    noted_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, provider, message_id)
);
CREATE INDEX provider_message_ids_by_age ON provider_message_ids USING brin (noted_at);

-- Addresses that are dead or unwilling, as keyed hashes: they outlast the users who had them, so that one who comes back, or a second
-- one with the same address, is not written to.
CREATE TABLE suppressed_addresses (
    tenant_id    uuid        NOT NULL,
    channel      text        NOT NULL,
    address_hmac bytea       NOT NULL,
    reason       text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, channel, address_hmac)
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['receipt_inbox', 'provider_message_ids', 'suppressed_addresses'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        CONTINUE WHEN t = 'receipt_inbox'; -- it has its grants, and nobody reads it over the API
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
