-- The consent ledger: what was said on what basis, how it can be proven, and a chain over all of a tenant's words.

ALTER TABLE consent_events
    ADD COLUMN number     bigint,
    ADD COLUMN state      text        NOT NULL DEFAULT 'said' CHECK (state IN ('said', 'requested', 'confirmed')),
    ADD COLUMN basis      text        NOT NULL DEFAULT 'express',
    ADD COLUMN details    jsonb       NOT NULL DEFAULT '{}',
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN hash       bytea;

-- proven: confirmed by a double opt-in, or written with its wording on record.
ALTER TABLE consent_records
    ADD COLUMN basis      text    NOT NULL DEFAULT 'express',
    ADD COLUMN proven     boolean NOT NULL DEFAULT false,
    ADD COLUMN expires_at timestamptz;

-- The last row of each tenant's chain. Whoever adds to a chain holds its row: words of one tenant are numbered one after the other.
CREATE TABLE consent_chains (
    tenant_id uuid   PRIMARY KEY,
    number    bigint NOT NULL,
    hash      bytea  NOT NULL
) WITH (fillfactor = 50);

-- A word as the bytes that are hashed. Evidence is in it as its hash: it stays sealed, and may be lost with its key.
CREATE FUNCTION consent_content(e consent_events) RETURNS bytea
LANGUAGE sql STABLE SET search_path = public AS $$
    SELECT convert_to(jsonb_build_array(1, e.number, e.user_id, e.channel, e.category, e.consented, e.source, e.state, e.basis, e.details,
                                        (extract(epoch FROM e.expires_at) * 1000000)::bigint, (extract(epoch FROM e.recorded_at) * 1000000)::bigint,
                                        encode(sha256(e.evidence), 'hex'))::text, 'UTF8')
$$;

CREATE FUNCTION link_consent_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    head consent_chains;
BEGIN
    INSERT INTO consent_chains VALUES (NEW.tenant_id, 0, sha256(convert_to('clarionconsent', 'UTF8') || '\x00'::bytea || uuid_send(NEW.tenant_id)))
    ON CONFLICT (tenant_id) DO NOTHING;
    SELECT * INTO head FROM consent_chains WHERE tenant_id = NEW.tenant_id FOR UPDATE;
    NEW.number := head.number + 1;
    NEW.hash := sha256(head.hash || consent_content(NEW));
    UPDATE consent_chains SET number = NEW.number, hash = NEW.hash WHERE tenant_id = NEW.tenant_id;
    RETURN NEW;
END $$;

-- Words that were written before there was a chain become its beginning.
DO $$
DECLARE
    e consent_events;
    head consent_chains;
BEGIN
    FOR e IN SELECT * FROM consent_events ORDER BY event_id LOOP
        INSERT INTO consent_chains VALUES (e.tenant_id, 0, sha256(convert_to('clarionconsent', 'UTF8') || '\x00'::bytea || uuid_send(e.tenant_id)))
        ON CONFLICT (tenant_id) DO NOTHING;
        SELECT * INTO head FROM consent_chains WHERE tenant_id = e.tenant_id;
        e.number := head.number + 1;
        e.hash := sha256(head.hash || consent_content(e));
        UPDATE consent_events SET number = e.number, hash = e.hash WHERE event_id = e.event_id;
        UPDATE consent_chains SET number = e.number, hash = e.hash WHERE tenant_id = e.tenant_id;
    END LOOP;
END $$;

-- A trigger, so that no writer can leave a word out of the chain: neither the release before this one, nor a hurried hand.
CREATE TRIGGER link_consent_event BEFORE INSERT ON consent_events FOR EACH ROW EXECUTE FUNCTION link_consent_event();
CREATE UNIQUE INDEX consent_events_by_number ON consent_events (tenant_id, number);

ALTER TABLE consent_chains ENABLE ROW LEVEL SECURITY;
ALTER TABLE consent_chains FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_island ON consent_chains USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
GRANT SELECT ON consent_chains TO clarion_pipeline, clarion_api;
REVOKE ALL ON FUNCTION link_consent_event() FROM PUBLIC;
