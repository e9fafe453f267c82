-- Exports of what is held about a user, the end of old days, and where a user's data may be.

-- One row a request. next_at: when a worker is to go on with it (a lease, or a pause after a fault). progress: what each store gave.
-- external_id: the tenant's own name of her. An archive is gone after some days; that it was asked for is known for two years.
CREATE TABLE exports (
    export_id    uuid        PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    user_id      bigint      NOT NULL,
    external_id  text        NOT NULL,
    state        text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'ready', 'failed', 'expired')),
    progress     jsonb       NOT NULL DEFAULT '[]',
    problem      text        NOT NULL DEFAULT '',
    next_at      timestamptz NOT NULL DEFAULT now(),
    requested_at timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    expires_at   timestamptz,
    bytes        bigint      NOT NULL DEFAULT 0,
    sha256       bytea       NOT NULL DEFAULT ''
);
-- Asked twice, it is one export.
CREATE UNIQUE INDEX exports_under_way ON exports (tenant_id, user_id) WHERE state = 'running';
CREATE INDEX exports_due ON exports (next_at) WHERE state = 'running';
CREATE INDEX exports_to_expire ON exports (expires_at) WHERE state = 'ready';
CREATE INDEX exports_by_tenant ON exports (tenant_id, export_id);

-- An archive in parts, each sealed with the user's own key: it ends with the key.
CREATE TABLE export_parts (
    tenant_id uuid    NOT NULL,
    export_id uuid    NOT NULL,
    part      integer NOT NULL,
    sealed    bytea   NOT NULL,
    PRIMARY KEY (export_id, part)
);

-- What was promised on days whose rows are gone, as it was when it and the rows were still equal.
CREATE TABLE settled_days (
    tenant_id  uuid        NOT NULL,
    day        date        NOT NULL,
    deliveries bigint      NOT NULL,
    id_sum     numeric(40) NOT NULL,
    settled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, day)
);

-- Up to which accept the contents of a category's messages have been cleared, where its tenant keeps them for less than the region does.
CREATE TABLE cleared_contents (
    tenant_id     uuid        NOT NULL,
    category      text        NOT NULL,
    cleared_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, category)
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['exports', 'export_parts', 'settled_days', 'cleared_contents'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;

-- What was asked for a user (pinned: her data stays in its home region; portable: it may be copied). Empty: by her country.
ALTER TABLE user_profiles ADD COLUMN residency text NOT NULL DEFAULT '' CHECK (residency IN ('', 'pinned', 'portable'));

-- The unsigned low half of an id, of which the ledger keeps sums.
CREATE FUNCTION id_low_half(id uuid) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
    SELECT ('x' || right(replace(id::text, '-', ''), 16))::bit(64)::bigint::numeric
           + CASE WHEN get_byte(uuid_send(id), 8) >= 128 THEN 18446744073709551616 ELSE 0 END
$$;

-- Ends a day of notifications: what is over goes with its partition, what is not moves into a fresh one of the same day first. What it
-- did: `dropped`, `moved` (the day stays with what is not over), `open` (nothing there is over), `unbalanced` (what was promised is not
-- what is there: nobody drops the evidence), `absent`. Raises lock_not_available where the table is busy: ask again.
--
-- Not over is: an open delivery, what its fallbacks or a redrive would read, its siblings under one notification, and a broadcast's
-- chunk that is not counted yet. Weighing needs no lock, because the ids of an old day do not change; the lock on the parent, for which
-- everybody waits, is held for as long as it takes to move what is open.
CREATE FUNCTION retire_day(old date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    old_name text := 'notifications_' || to_char(old, 'YYYYMMDD');
    new_name text := 'notifications_' || to_char(old, 'YYYYMMDD') || '_open';
    bounds   text := format('FOR VALUES FROM (%L) TO (%L)', old::text || ' 00:00:00+00', (old + 1)::text || ' 00:00:00+00');
    differ   boolean;
    kept     bigint;
    dropped  bigint;
BEGIN
    IF old >= (now() AT TIME ZONE 'UTC')::date - 1 THEN
        RAISE EXCEPTION 'the day % is not over', old USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(7245002); -- as ensure_partitions: one at a time
    IF to_regclass(old_name) IS NULL THEN
        RETURN 'absent';
    END IF;

    CREATE TEMPORARY TABLE weighed (tenant_id uuid, deliveries bigint, id_sum numeric) ON COMMIT DROP;
    EXECUTE format('INSERT INTO weighed SELECT tenant_id, count(*), sum(id_low_half(global_id)) FROM %I GROUP BY tenant_id', old_name);
    SELECT EXISTS (
        SELECT FROM weighed w
        FULL JOIN (SELECT tenant_id, sum(deliveries) AS deliveries, sum(id_sum) AS id_sum FROM accept_batches WHERE day = old GROUP BY tenant_id) p
            USING (tenant_id)
        WHERE (w.deliveries, w.id_sum) IS DISTINCT FROM (p.deliveries, p.id_sum)) INTO differ;
    IF differ THEN
        DROP TABLE weighed;
        RETURN 'unbalanced';
    END IF;

    EXECUTE format('CREATE TABLE %I (LIKE notifications INCLUDING ALL) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)', new_name);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', new_name);
    LOCK TABLE ONLY notifications IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', old_name);
    EXECUTE format($move$
        WITH begun AS (SELECT old::timestamp AT TIME ZONE 'UTC' AS at FROM (SELECT $1 AS old) d),
        open AS (
            SELECT n.notification_id FROM open_deliveries o JOIN %1$I n USING (global_id)
            WHERE o.created_at >= (SELECT at FROM begun) AND o.created_at < (SELECT at + interval '1 day' FROM begun)
            UNION
            SELECT f.notification_id FROM fallbacks f
            WHERE f.due_at IS NOT NULL AND f.created_at >= (SELECT at FROM begun) AND f.created_at < (SELECT at + interval '1 day' FROM begun)
            UNION
            SELECT d.notification_id FROM dead_letters d
            WHERE d.created_at >= (SELECT at FROM begun) AND d.created_at < (SELECT at + interval '1 day' FROM begun)
            UNION
            SELECT n.notification_id FROM broadcast_chunks c JOIN %1$I n ON n.global_id BETWEEN c.first_id AND c.last_id
            WHERE c.state = 'accepted'
        )
        INSERT INTO %2$I SELECT n.* FROM %1$I n WHERE n.notification_id IN (SELECT notification_id FROM open)$move$, old_name, new_name)
        USING old;
    GET DIAGNOSTICS kept = ROW_COUNT;
    SELECT coalesce(sum(deliveries), 0) - kept FROM weighed INTO dropped;
    IF dropped = 0 AND kept > 0 THEN
        EXECUTE format('DROP TABLE %I', new_name);
        DROP TABLE weighed;
        RETURN 'open';
    END IF;

    DELETE FROM accept_batches WHERE day = old;
    EXECUTE format('INSERT INTO accept_batches (tenant_id, day, deliveries, id_sum)
                    SELECT tenant_id, $1, count(*), sum(id_low_half(global_id)) FROM %I GROUP BY tenant_id', new_name) USING old;
    EXECUTE format($settle$
        INSERT INTO settled_days AS s (tenant_id, day, deliveries, id_sum)
        SELECT w.tenant_id, $1, w.deliveries - coalesce(k.deliveries, 0), w.id_sum - coalesce(k.id_sum, 0)
        FROM weighed w
        LEFT JOIN (SELECT tenant_id, count(*) AS deliveries, sum(id_low_half(global_id)) AS id_sum FROM %I GROUP BY tenant_id) k USING (tenant_id)
        ON CONFLICT (tenant_id, day) DO UPDATE
        SET deliveries = s.deliveries + excluded.deliveries, id_sum = s.id_sum + excluded.id_sum, settled_at = now()$settle$, new_name)
        USING old;
    DROP TABLE weighed;
    EXECUTE format('ALTER TABLE notifications DETACH PARTITION %I', old_name);
    EXECUTE format('DROP TABLE %I', old_name);
    IF kept = 0 THEN
        EXECUTE format('DROP TABLE %I', new_name);
        RETURN 'dropped';
    END IF;
    EXECUTE format('ALTER TABLE %I RENAME TO %I', new_name, old_name);
    EXECUTE format('ALTER TABLE notifications ATTACH PARTITION %I %s', old_name, bounds);
    RETURN 'moved';
END $$;
REVOKE ALL ON FUNCTION retire_day(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retire_day(date) TO clarion_pipeline;
