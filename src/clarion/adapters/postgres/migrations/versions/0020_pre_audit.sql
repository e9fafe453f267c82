-- Every administrative act, in two entries: before it begins, and how it ended. Each row seals the one before (compliance/chain.py).
-- `previous` is the hash that the row follows, so that what is left can be verified when the oldest have reached their age.
CREATE TABLE audit_log (
    tenant_id  uuid        NOT NULL,
    number     bigint      NOT NULL CHECK (number > 0),
    at         timestamptz NOT NULL,
    begun      bigint      NOT NULL CHECK (begun >= 0 AND begun < number), -- of an ending: the entry that it ends; 0: a beginning
    actor      text        NOT NULL,
    operation  text        NOT NULL,
    target     text        NOT NULL,
    outcome    text        NOT NULL CHECK (outcome IN ('begun', 'done', 'refused', 'failed')),
    reason     text        NOT NULL,
    ip         text        NOT NULL,
    request_id text        NOT NULL,
    facts      text        NOT NULL, -- JSON as it was hashed: jsonb would put it into another order
    previous   bytea       NOT NULL,
    hash       bytea       NOT NULL,
    PRIMARY KEY (tenant_id, number)
);
CREATE INDEX audit_log_endings ON audit_log (tenant_id, begun) WHERE begun > 0;
CREATE INDEX audit_log_by_time ON audit_log (tenant_id, at);
CREATE INDEX audit_log_by_actor ON audit_log (tenant_id, actor, number);
CREATE INDEX audit_log_by_operation ON audit_log (tenant_id, operation, number);

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON audit_log USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);

-- Not by the owner either, short of taking this trigger away: seven years are kept.
CREATE FUNCTION keep_audit_log() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '7 years' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION keep_audit_log();
CREATE TRIGGER audit_log_stays_whole BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_log();

-- Where the next entry of a tenant goes, and the time that it bears. Held until the transaction ends: entries follow one another.
CREATE FUNCTION audit_head(tenant uuid, OUT number bigint, OUT hash bytea, OUT at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7245003, hashtext(tenant::text));
    SELECT l.number, l.hash INTO number, hash FROM audit_log l WHERE l.tenant_id = tenant ORDER BY l.number DESC LIMIT 1;
    number := coalesce(number, 0);
    at := date_trunc('milliseconds', clock_timestamp());
END $$;

-- What has reached its age; how many entries.
CREATE FUNCTION drop_old_audit() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    dropped bigint;
BEGIN
    DELETE FROM audit_log WHERE at < now() - interval '7 years';
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END $$;

REVOKE ALL ON FUNCTION audit_head(uuid), drop_old_audit() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_head(uuid) TO clarion_audit;
GRANT EXECUTE ON FUNCTION drop_old_audit() TO clarion_pipeline;
GRANT INSERT ON audit_log TO clarion_audit;
GRANT SELECT ON audit_log TO clarion_api, clarion_pipeline;
