-- Who is in which segment, and what users did.

-- The blind index of sealed attributes: keyed hashes of (path, value), so that a segment finds users without opening them.
-- No query sees another tenant's rows by it: the tenant is part of what is hashed.
ALTER TABLE user_profiles ADD COLUMN traits bigint[] NOT NULL DEFAULT '{}';
CREATE INDEX user_profiles_by_trait ON user_profiles USING gin (traits);
-- The order in which audiences are paged.
CREATE INDEX user_profiles_by_number ON user_profiles (tenant_id, user_id);

-- One row an event of a user. Its properties are personal: sealed with her own key.
CREATE TABLE user_events (
    event_id    uuid        PRIMARY KEY,
    tenant_id   uuid        NOT NULL,
    user_id     bigint      NOT NULL,
    event       text        NOT NULL,
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    properties  bytea       NOT NULL DEFAULT ''
);
CREATE INDEX user_events_by_user ON user_events (user_id);
CREATE INDEX user_events_by_time ON user_events (tenant_id, event, at);
CREATE INDEX user_events_by_age ON user_events USING brin (received_at);

-- What segments ask about events, one row a user and event. Nothing that changes is indexed: folds are HOT updates.
CREATE TABLE event_rollups (
    tenant_id uuid        NOT NULL,
    event     text        NOT NULL,
    user_id   bigint      NOT NULL,
    count     bigint      NOT NULL,
    first_at  timestamptz NOT NULL,
    last_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event, user_id)
) WITH (fillfactor = 70);
CREATE INDEX event_rollups_by_user ON event_rollups (user_id);

-- wanted_at: since when somebody waits for the worker to keep the membership (NULL: nobody). taking: the number of the attempt that is
-- under way, which no other attempt has: an older one that wakes up writes nothing. examined of candidates: how far it is. snapshot: the
-- number of the finished one, 0 where there is none.
CREATE TABLE segments (
    segment_id   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    tenant_id    uuid        NOT NULL,
    name         text        NOT NULL,
    expression   text        NOT NULL,
    description  text        NOT NULL,
    version      bigint      NOT NULL DEFAULT 1,
    members      bigint,
    counted_at   timestamptz,
    wanted_at    timestamptz,
    leased_until timestamptz,
    examined     bigint      NOT NULL DEFAULT 0,
    candidates   bigint      NOT NULL DEFAULT 0,
    taking       bigint      NOT NULL DEFAULT 0,
    snapshot     bigint      NOT NULL DEFAULT 0,
    snapshot_at  timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);

-- Membership as the worker last found it.
CREATE TABLE segment_members (
    segment_id bigint NOT NULL,
    snapshot   bigint NOT NULL,
    user_id    bigint NOT NULL,
    tenant_id  uuid   NOT NULL,
    PRIMARY KEY (segment_id, snapshot, user_id)
);
CREATE INDEX segment_members_by_user ON segment_members (user_id);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['user_events', 'event_rollups', 'segments', 'segment_members'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
