-- What could not be worked on, kept where it stands in nobody's way.

-- Deliveries that a worker died over, or that came to nothing through an error of ours. A worker takes them with care: few at a time
-- (`trial_until`, `trial_by`: the process that has them), then one alone. Nearly always empty.
CREATE TABLE suspects (
    global_id   uuid        PRIMARY KEY,
    tenant_id   uuid        NOT NULL,
    crashes     smallint    NOT NULL DEFAULT 0,
    deliveries  smallint    NOT NULL DEFAULT 0,
    last_error  text        NOT NULL DEFAULT '',
    trial_until timestamptz,
    trial_by    uuid,
    noted_at    timestamptz NOT NULL DEFAULT now()
);

-- One row a delivery that was given up because of ourselves. `status`: how it ended, `failed`, or `unknown` where its last attempt may
-- have arrived. `lease_epoch` goes on from here when it is redriven, so that nothing late can touch it.
CREATE TABLE dead_letters (
    global_id       uuid        PRIMARY KEY,
    created_at      timestamptz NOT NULL,
    notification_id uuid        NOT NULL,
    tenant_id       uuid        NOT NULL,
    user_id         bigint      NOT NULL,
    category        text        NOT NULL,
    channel         text        NOT NULL,
    template        text        NOT NULL,
    priority        smallint    NOT NULL,
    is_test         boolean     NOT NULL DEFAULT false,
    reason          text        NOT NULL CHECK (reason IN ('crashed_workers', 'deliveries')),
    last_error      text        NOT NULL,
    crashes         smallint    NOT NULL,
    deliveries      smallint    NOT NULL,
    attempts        integer     NOT NULL,
    provider        text        NOT NULL,
    status          text        NOT NULL,
    lease_epoch     integer     NOT NULL,
    died_at         timestamptz NOT NULL,
    redrives        integer     NOT NULL DEFAULT 0,
    redriven_at     timestamptz,
    redrive_due_at  timestamptz
);
CREATE INDEX dead_letters_by_death ON dead_letters (tenant_id, died_at, global_id);

-- Messages between our own parts that cannot be worked on: rows of the outbox and the receipt inbox. They carry ids only and belong to no
-- tenant that could be told: their bytes are what is wrong.
CREATE TABLE parked_messages (
    parked_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source    text        NOT NULL CHECK (source IN ('outbox', 'receipts')),
    origin    text        NOT NULL,
    payload   bytea       NOT NULL,
    reason    text        NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now()
);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['suspects', 'dead_letters'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
GRANT SELECT, INSERT, DELETE ON parked_messages TO clarion_pipeline;
