-- Erasures: users of whom everything is removed, how far that is, and what proves it.

-- subject: keyed hash of the tenant's own id of the user; external_id: that id, empty as soon as the erasure is complete. user_ids: her
-- numbers here, several where she was deleted and came back. rounds: how often all stores were gone through; progress: what each gave
-- up; next_at: when somebody is to go on with it. origin `restore`: what was erased came back with a backup.
CREATE TABLE erasures (
    erasure_id   uuid        PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    subject      bytea       NOT NULL,
    external_id  text        NOT NULL,
    user_ids     bigint[]    NOT NULL,
    origin       text        NOT NULL CHECK (origin IN ('request', 'restore')),
    rounds       smallint    NOT NULL DEFAULT 0,
    progress     jsonb       NOT NULL DEFAULT '[]',
    problem      text        NOT NULL DEFAULT '',
    next_at      timestamptz NOT NULL DEFAULT now(),
    requested_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    certificate  jsonb
);
-- Asked twice, it is one erasure.
CREATE UNIQUE INDEX erasures_under_way ON erasures (tenant_id, subject) WHERE completed_at IS NULL;
CREATE INDEX erasures_by_subject ON erasures (tenant_id, subject, requested_at);
CREATE INDEX erasures_by_tenant ON erasures (tenant_id, erasure_id);
CREATE INDEX erasures_due ON erasures (next_at) WHERE completed_at IS NULL;
CREATE INDEX erasures_by_end ON erasures (completed_at) WHERE completed_at IS NOT NULL;

-- Users whose profile was deleted while other things under their number are still there, so that they can be erased all the same.
CREATE TABLE former_users (
    tenant_id uuid        NOT NULL,
    subject   bytea       NOT NULL,
    user_id   bigint      NOT NULL,
    left_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subject, user_id)
);
CREATE INDEX former_users_by_age ON former_users USING brin (left_at);

-- What a notification said and to whom was removed: what comes later of it is kept without words.
ALTER TABLE notifications ADD COLUMN erased_at timestamptz;

-- A restored backup knows less numbers than were given: none is given twice.
GRANT SELECT, UPDATE ON SEQUENCE user_seq TO clarion_pipeline;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['erasures', 'former_users'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
