-- Broadcasts: one message to an audience that was fixed when it was asked for.

-- source: whom; message: what each gets; timing: when. cursor: how far the snapshot is. paced_until: when the next chunk may pass, by the
-- rate limit or because none is due before; it changes with each chunk and stands in no index. request: whose idempotency key asked for it.
CREATE TABLE broadcasts (
    broadcast_id uuid             PRIMARY KEY,
    tenant_id    uuid             NOT NULL,
    environment  text             NOT NULL,
    name         text             NOT NULL,
    stage        text             NOT NULL CHECK (stage IN ('collecting', 'sending', 'cancelling', 'completed', 'cancelled', 'failed')),
    held         boolean          NOT NULL DEFAULT false,
    rehearsal    boolean          NOT NULL,
    source       jsonb            NOT NULL,
    message      jsonb            NOT NULL,
    timing       jsonb            NOT NULL,
    rate_per_s   double precision NOT NULL,
    chunk_size   integer          NOT NULL,
    request      bytea,
    cursor       bigint           NOT NULL DEFAULT 0,
    chunks       integer          NOT NULL DEFAULT 0,
    audience     bigint           NOT NULL DEFAULT 0,
    paced_until  timestamptz      NOT NULL DEFAULT now(),
    failure      text             NOT NULL DEFAULT '',
    created_at   timestamptz      NOT NULL DEFAULT now(),
    ended_at     timestamptz
) WITH (fillfactor = 50);
CREATE INDEX broadcasts_by_tenant ON broadcasts (tenant_id, broadcast_id);
CREATE INDEX broadcasts_by_request ON broadcasts (tenant_id, request) WHERE request IS NOT NULL;
CREATE INDEX broadcasts_under_way ON broadcasts (stage) WHERE stage IN ('collecting', 'sending', 'cancelling');

-- The names of a list, as they were given, until the snapshot is made of them.
CREATE TABLE broadcast_lists (
    tenant_id    uuid    NOT NULL,
    broadcast_id uuid    NOT NULL,
    page         integer NOT NULL,
    names        text[]  NOT NULL,
    PRIMARY KEY (broadcast_id, page)
);

-- The snapshot of the audience, a row for some hundred members. An accepted chunk's notifications have the ids from first_id to last_id
-- and no other notification has one of these: so they are found and counted by primary key, and no delivery carries a broadcast's
-- name. refused: members without a row; rules: whom which rule blocked when it was decided; tally: statuses of the settled chunk;
-- began: statuses when it was accepted, true for as long as all of its deliveries are open.
CREATE TABLE broadcast_chunks (
    tenant_id     uuid        NOT NULL,
    broadcast_id  uuid        NOT NULL,
    chunk         integer     NOT NULL,
    due_at        timestamptz NOT NULL,
    size          integer     NOT NULL,
    names         text[]      NOT NULL,
    state         text        NOT NULL CHECK (state IN ('ready', 'accepted', 'settled', 'dropped')),
    drained       boolean     NOT NULL DEFAULT false,
    accepted_at   timestamptz,
    first_id      uuid,
    last_id       uuid,
    look_at       timestamptz,
    refused_count integer     NOT NULL DEFAULT 0,
    refused       jsonb       NOT NULL DEFAULT '{}',
    rules         jsonb       NOT NULL DEFAULT '{}',
    began         jsonb       NOT NULL DEFAULT '{}',
    deliveries    integer     NOT NULL DEFAULT 0,
    tally         jsonb       NOT NULL DEFAULT '{}',
    forecast      jsonb,
    PRIMARY KEY (broadcast_id, chunk)
);
CREATE INDEX broadcast_chunks_ready ON broadcast_chunks (broadcast_id, due_at, chunk) WHERE state = 'ready';
CREATE INDEX broadcast_chunks_accepted ON broadcast_chunks (broadcast_id) WHERE state = 'accepted';
CREATE INDEX broadcast_chunks_to_look_at ON broadcast_chunks (look_at) WHERE look_at IS NOT NULL;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['broadcasts', 'broadcast_lists', 'broadcast_chunks'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
