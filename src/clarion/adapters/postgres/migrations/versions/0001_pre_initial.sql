-- The regional store, from the first day. Expand-only: the previous release must run on this schema.
-- `migrate` has made the roles (`clarion_pipeline`, `clarion_api`) before this runs.

-- One row a channel of each notification. No index on a column that changes, fillfactor 60: status folds are HOT updates
-- (48 k rows/s against 6 k without). The last four bits of global_id name the channel, the rest is the notification's id.
CREATE TABLE notifications (
    global_id           uuid        NOT NULL,
    created_at          timestamptz NOT NULL,
    notification_id     uuid        NOT NULL,
    tenant_id           uuid        NOT NULL,
    user_id             bigint      NOT NULL,
    category            text        NOT NULL,
    channel             text        NOT NULL,
    priority            integer     NOT NULL,
    status              text        NOT NULL,
    template            text        NOT NULL,
    template_version    integer     NOT NULL,
    payload             jsonb       NOT NULL,
    personalization     jsonb       NOT NULL,
    metadata            jsonb       NOT NULL,
    decision            jsonb       NOT NULL,
    consent_snapshot    jsonb,
    journey_id          text        NOT NULL,
    traceparent         text        NOT NULL,
    ml_send_time        timestamptz,
    ml_channel_score    double precision NOT NULL,
    expires_at          timestamptz,
    attempts            integer     NOT NULL DEFAULT 0,
    attempt_log         jsonb,
    provider            text,
    provider_message_id text,
    provider_cost       numeric(14, 6),
    sent_at             timestamptz,
    delivered_at        timestamptz,
    engaged_at          timestamptz,
    PRIMARY KEY (global_id, created_at)
) PARTITION BY RANGE (created_at);

CREATE INDEX notifications_by_user ON notifications (tenant_id, user_id, created_at);

-- Makes the day partitions from yesterday to `ahead` days from now. Attached, not created as partitions: CREATE … PARTITION OF
-- takes ACCESS EXCLUSIVE on the parent and would stand behind any open transaction. The parent's policies do not guard a partition
-- that is read by its own name: each has row-level security without a policy, and no grants.
CREATE FUNCTION ensure_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    day  date;
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7245002); -- two callers at once would both find the partition missing
    FOR day IN SELECT generate_series((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + ahead, '1 day')::date LOOP
        name := 'notifications_' || to_char(day, 'YYYYMMDD');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE notifications INCLUDING ALL) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05)', name);
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
            EXECUTE format('ALTER TABLE notifications ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                           name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

-- One narrow row a delivery that is not terminal: leases and intents live here, and the sweeper reads only this.
-- visible_at: by then somebody should have taken it; the sweeper queues again what is past it.
CREATE TABLE open_deliveries (
    global_id    uuid        NOT NULL,
    created_at   timestamptz NOT NULL,
    tenant_id    uuid        NOT NULL,
    due_at       timestamptz NOT NULL,
    visible_at   timestamptz NOT NULL,
    leased_until timestamptz,
    priority     smallint    NOT NULL,
    lease_epoch  integer     NOT NULL DEFAULT 0,
    attempts     integer     NOT NULL DEFAULT 0,
    channel      text        NOT NULL,
    state        text        NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sending')),
    provider     text        NOT NULL DEFAULT '',
    PRIMARY KEY (global_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- What was promised, written with each accept: the ledger's side of the equation.
CREATE TABLE accept_batches (
    batch_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  uuid        NOT NULL,
    day        date        NOT NULL,
    deliveries integer     NOT NULL,
    id_sum     numeric(40) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Events to publish, one row a batch, written in the transaction that made them.
CREATE TABLE outbox (
    outbox_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text        NOT NULL,
    events     integer     NOT NULL,
    payload    bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Receipts as committed before the provider gets its 200; folded into notifications by the projector.
CREATE TABLE receipt_inbox (
    inbox_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider    text        NOT NULL,
    receipts    integer     NOT NULL,
    payload     bytea       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    retry_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE idempotency_keys (
    tenant_id   uuid        NOT NULL,
    environment text        NOT NULL,
    route       text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    status      smallint    NOT NULL,
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, environment, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys USING brin (created_at);

CREATE SEQUENCE user_seq AS bigint;

-- The personal part is one sealed blob under the user's own key (kept in the subject_keys database); HMAC columns find it.
-- fingerprint: keyed hash of everything that the tenant wrote, so that writing the same again changes nothing.
CREATE TABLE user_profiles (
    user_id             bigint      PRIMARY KEY,
    tenant_id           uuid        NOT NULL,
    external_id         text        NOT NULL,
    home_region         text        NOT NULL,
    version             bigint      NOT NULL DEFAULT 1,
    sealed              bytea       NOT NULL,
    fingerprint         bytea       NOT NULL,
    email_hmac          bytea,
    phone_hmac          bytea,
    reachable           smallint    NOT NULL,
    timezone            text        NOT NULL DEFAULT '',
    language            text        NOT NULL DEFAULT '',
    country             text        NOT NULL DEFAULT '',
    region              text        NOT NULL DEFAULT '',
    preferred_channel   text        NOT NULL DEFAULT '',
    preferences         jsonb       NOT NULL DEFAULT '{}',
    quiet_hours         jsonb,
    engagement_scores   jsonb       NOT NULL DEFAULT '{}',
    optimal_send_times  jsonb       NOT NULL DEFAULT '{}',
    segment_memberships jsonb       NOT NULL DEFAULT '[]',
    ml_features         jsonb       NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, external_id)
) WITH (fillfactor = 80);
CREATE INDEX user_profiles_by_email ON user_profiles (tenant_id, email_hmac) WHERE email_hmac IS NOT NULL;
CREATE INDEX user_profiles_by_phone ON user_profiles (tenant_id, phone_hmac) WHERE phone_hmac IS NOT NULL;

-- Current consent, the latest word per (user, channel, category); `*` as category covers all. The evidence (address, browser,
-- wording shown) is personal: sealed with the user's key.
CREATE TABLE consent_records (
    tenant_id   uuid        NOT NULL,
    user_id     bigint      NOT NULL,
    channel     text        NOT NULL,
    category    text        NOT NULL,
    consented   boolean     NOT NULL,
    source      text        NOT NULL,
    evidence    bytea       NOT NULL DEFAULT '',
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, channel, category)
);

-- Every word ever given, append-only.
CREATE TABLE consent_events (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   uuid        NOT NULL,
    user_id     bigint      NOT NULL,
    channel     text        NOT NULL,
    category    text        NOT NULL,
    consented   boolean     NOT NULL,
    source      text        NOT NULL,
    evidence    bytea       NOT NULL DEFAULT '',
    recorded_at timestamptz NOT NULL
);
CREATE INDEX consent_events_by_user ON consent_events (user_id, event_id);

CREATE TABLE suppressions (
    tenant_id  uuid        NOT NULL,
    user_id    bigint      NOT NULL,
    channel    text        NOT NULL,
    reason     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, channel)
);

-- Every version that was ever saved; none is changed. channels: mask of those it has parts for.
CREATE TABLE templates (
    tenant_id    uuid        NOT NULL,
    name         text        NOT NULL,
    version      integer     NOT NULL,
    category     text        NOT NULL,
    content      jsonb       NOT NULL,
    channels     smallint    NOT NULL,
    uses_context boolean     NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name, version)
);

CREATE TABLE categories (
    tenant_id    uuid    NOT NULL,
    name         text    NOT NULL,
    class        text    NOT NULL CHECK (class IN ('transactional', 'service', 'marketing')),
    ttl_s        integer NOT NULL,
    on_ambiguity text    NOT NULL CHECK (on_ambiguity IN ('retry', 'park')),
    caps         jsonb   NOT NULL DEFAULT '{}',
    channels     smallint NOT NULL,
    max_channels smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE providers (
    tenant_id   uuid    NOT NULL,
    name        text    NOT NULL,
    kind        text    NOT NULL,
    channel     text    NOT NULL,
    settings    jsonb   NOT NULL DEFAULT '{}',
    credentials bytea   NOT NULL DEFAULT '',
    cost        jsonb   NOT NULL DEFAULT '{}',
    regions     jsonb   NOT NULL DEFAULT '[]',
    weight      integer NOT NULL DEFAULT 1 CHECK (weight >= 0),
    enabled     boolean NOT NULL DEFAULT true,
    version     bigint  NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE api_keys (
    key_id       uuid        PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    environment  text        NOT NULL CHECK (environment IN ('live', 'test')),
    key_hash     bytea       NOT NULL UNIQUE,
    last_four    text        NOT NULL,
    name         text        NOT NULL DEFAULT '',
    scopes       text[]      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id);

-- What a tenant set, as every stage reads it; config_version moves with each write of a tenant's categories, templates or providers.
CREATE TABLE tenant_settings (
    tenant_id      uuid        PRIMARY KEY,
    name           text        NOT NULL,
    timezone       text        NOT NULL DEFAULT 'UTC',
    country        text        NOT NULL DEFAULT '',
    quiet_hours    jsonb       DEFAULT '[1320, 480]',
    rate_per_s     double precision NOT NULL DEFAULT 20000,
    rate_burst     double precision NOT NULL DEFAULT 40000,
    config_version bigint      NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL DEFAULT now()
);

-- Tenants are islands. `clarion_api` sees a tenant's rows only, and none without a tenant; `clarion_pipeline` (BYPASSRLS) uses
-- COPY, which is refused under row-level security, and takes its tenant from what was authenticated.
DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['notifications', 'open_deliveries', 'accept_batches', 'idempotency_keys', 'user_profiles', 'consent_records',
                             'consent_events', 'suppressions', 'templates', 'categories', 'providers', 'api_keys', 'tenant_settings'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant_island ON %I USING (tenant_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO clarion_pipeline', t);
        EXECUTE format('GRANT SELECT ON %I TO clarion_api', t);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox, receipt_inbox TO clarion_pipeline;
GRANT USAGE ON SEQUENCE user_seq TO clarion_pipeline;
REVOKE UPDATE, DELETE ON consent_events FROM clarion_pipeline;
REVOKE ALL ON FUNCTION ensure_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions(integer) TO clarion_pipeline;
SELECT ensure_partitions(3);
