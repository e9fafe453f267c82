-- People who act for a tenant, what their roles let them do, and the end of a tenant.
CREATE TABLE members (
    member_id     uuid        PRIMARY KEY,
    tenant_id     uuid        NOT NULL,
    email         text        NOT NULL, -- in lower case
    role          text        NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'marketer', 'analyst', 'auditor')),
    status        text        NOT NULL CHECK (status IN ('invited', 'active', 'suspended')),
    invitation    bytea       UNIQUE,   -- SHA-256 of the token that accepts it; NULL: there is none
    invited_until timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, email)
);

-- A key with a role may what the role may, whatever a later release makes of it; one of a member no more than she may herself.
ALTER TABLE api_keys ADD COLUMN role text NOT NULL DEFAULT '', ADD COLUMN member_id uuid;
CREATE INDEX api_keys_by_member ON api_keys (member_id) WHERE member_id IS NOT NULL;

-- Which claims of its tokens name a role, and a member by her e-mail. '': none does.
ALTER TABLE token_issuers ADD COLUMN role_claim text NOT NULL DEFAULT '', ADD COLUMN member_claim text NOT NULL DEFAULT '';

-- Tenants that are being deleted, or were: what comes in late of them is swept away. Ids only once it is finished.
CREATE TABLE tenant_deletions (
    tenant_id   uuid        PRIMARY KEY,
    name        text        NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    removed     bigint      NOT NULL DEFAULT 0,
    finished_at timestamptz
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['members', 'tenant_deletions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;

-- The tables that hold something of tenants, each partition by itself. The audit log outlives its tenant; the settings go last of all.
CREATE FUNCTION tenant_tables() RETURNS SETOF regclass
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
      AND c.relname NOT IN ('audit_log', 'tenant_deletions', 'tenant_settings')
    ORDER BY c.relname <> 'broadcasts', c.relname <> 'open_deliveries', c.relname
$$;

-- Removes at most `most` rows of a tenant that is being deleted from one of its tables; how many.
CREATE FUNCTION delete_tenant_rows(tenant uuid, source regclass, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM tenant_deletions d WHERE d.tenant_id = tenant) OR source NOT IN (SELECT tenant_tables()) THEN
        RAISE EXCEPTION 'nothing of this tenant may be deleted here' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DELETE FROM %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %s WHERE tenant_id = $1 LIMIT $2))', source, source)
        USING tenant, most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;

REVOKE ALL ON FUNCTION tenant_tables(), delete_tenant_rows(uuid, regclass, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_tables(), delete_tenant_rows(uuid, regclass, integer) TO clarion_pipeline;
