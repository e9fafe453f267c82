-- Providers that were tried, and channels to fall back on.

-- tried: providers that failed a delivery, so that others are asked first. excused: attempts that do not count against it, because the
-- account's credentials were refused.
ALTER TABLE open_deliveries
    ADD COLUMN tried   text[]  NOT NULL DEFAULT '{}',
    ADD COLUMN excused integer NOT NULL DEFAULT 0;

-- The chain that a category's notifications follow where their request names none.
ALTER TABLE categories ADD COLUMN fallback jsonb NOT NULL DEFAULT '[]';

-- One row a notification that has further channels to go to. steps: [{channel, after_s, unless}]; step: the next of them, from 0;
-- due_at: when to look at it (null: it is over, and `state` says how); history: what was done at which step, as the trace shows it.
CREATE TABLE fallbacks (
    notification_id uuid        PRIMARY KEY,
    created_at      timestamptz NOT NULL,
    tenant_id       uuid        NOT NULL,
    steps           jsonb       NOT NULL,
    step            smallint    NOT NULL DEFAULT 0,
    due_at          timestamptz,
    state           text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'succeeded', 'exhausted', 'expired', 'cancelled')),
    history         jsonb       NOT NULL DEFAULT '[]'
) WITH (fillfactor = 70);
CREATE INDEX fallbacks_due ON fallbacks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX fallbacks_by_age ON fallbacks USING brin (created_at);

ALTER TABLE fallbacks ENABLE ROW LEVEL SECURITY;
ALTER TABLE fallbacks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON fallbacks USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON fallbacks TO clarion_pipeline;
GRANT SELECT ON fallbacks TO clarion_api;
