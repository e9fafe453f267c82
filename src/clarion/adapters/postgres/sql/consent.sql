-- name: record_words
-- What users said: appended to the events (whose trigger chains them), and kept where it is the latest word on its channel and
-- category; what waits for its confirmation is no word yet. An express opt-in lifts what the user's own will had silenced ($10: those
-- reasons). The users' rows are locked in one order, and before the clock is read, so that of two words at once the one that is
-- acknowledged later counts as later. What stands for her word ends: after a purchase in 24 months, after an inquiry in 6 (CASL, 10(10)).
WITH locked AS (
    SELECT user_id FROM user_profiles WHERE tenant_id = $1 AND user_id = ANY($2::bigint[]) ORDER BY user_id FOR UPDATE
), touched AS (
    UPDATE user_profiles p SET version = p.version + 1, updated_at = now() FROM locked WHERE p.user_id = locked.user_id
    RETURNING p.user_id
), heard AS MATERIALIZED (
    SELECT t.user_id, t.channel, t.category, t.consented, t.source, t.express, t.evidence, t.i, t.state, t.basis, t.details, said.recorded_at,
           coalesce(t.expires_at, said.recorded_at + CASE t.basis WHEN 'implied_purchase' THEN interval '24 months'
                                                                  WHEN 'implied_inquiry' THEN interval '6 months' END) AS expires_at,
           t.state = 'confirmed' OR (t.basis = 'written' AND t.details ? 'wording_hash') AS proven
    FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::bool[], $8::timestamptz[], $9::bytea[],
                $11::text[], $12::text[], $13::jsonb[], $14::timestamptz[])
         WITH ORDINALITY AS t (user_id, channel, category, consented, source, express, given_at, evidence, state, basis, details, expires_at, i)
    JOIN touched USING (user_id)
    CROSS JOIN LATERAL (SELECT least(coalesce(t.given_at, clock_timestamp()), clock_timestamp()) AS recorded_at) said
), kept AS (
    INSERT INTO consent_events (tenant_id, user_id, channel, category, consented, source, evidence, recorded_at, state, basis, details, expires_at)
    SELECT $1, user_id, channel, category, consented, source, evidence, recorded_at, state, basis, details, expires_at FROM heard ORDER BY i
), latest AS (
    INSERT INTO consent_records (tenant_id, user_id, channel, category, consented, source, evidence, recorded_at, basis, proven, expires_at)
    SELECT DISTINCT ON (user_id, channel, category)
           $1::uuid, user_id, channel, category, consented, source, evidence, recorded_at, basis, proven, expires_at
    FROM heard WHERE state <> 'requested'
    ORDER BY user_id, channel, category, recorded_at DESC, consented, i DESC
    ON CONFLICT (user_id, channel, category) DO UPDATE
    SET consented = excluded.consented, source = excluded.source, evidence = excluded.evidence, recorded_at = excluded.recorded_at,
        basis = excluded.basis, proven = excluded.proven, expires_at = excluded.expires_at
    WHERE (excluded.recorded_at, NOT excluded.consented) >= (consent_records.recorded_at, NOT consent_records.consented)
), lifted AS (
    DELETE FROM suppressed_addresses a USING heard h JOIN user_profiles p ON p.user_id = h.user_id
    WHERE a.tenant_id = $1 AND a.channel = h.channel AND h.express AND h.consented AND h.recorded_at > a.created_at
          AND a.address_hmac = CASE h.channel WHEN 'email' THEN p.email_hmac WHEN 'sms' THEN p.phone_hmac END
          AND a.reason = ANY($10::text[])
)
DELETE FROM suppressions s USING heard h
WHERE s.user_id = h.user_id AND s.channel = h.channel AND h.express AND h.consented AND h.recorded_at > s.created_at
      AND s.reason = ANY($10::text[])

-- name: suppress
-- Silence channels. A fact about an address replaces what a later opt-in could lift ($5: those reasons).
WITH locked AS (
    SELECT user_id FROM user_profiles WHERE tenant_id = $1 AND user_id = ANY($2::bigint[]) ORDER BY user_id FOR UPDATE
), touched AS (
    UPDATE user_profiles p SET version = p.version + 1, updated_at = now() FROM locked WHERE p.user_id = locked.user_id
    RETURNING p.user_id
)
INSERT INTO suppressions (tenant_id, user_id, channel, reason, created_at)
SELECT DISTINCT ON (t.user_id, t.channel) $1::uuid, t.user_id, t.channel, t.reason, clock_timestamp()
FROM unnest($2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS t (user_id, channel, reason, i)
JOIN touched USING (user_id)
ORDER BY t.user_id, t.channel, t.reason = ANY($5::text[]), t.i
ON CONFLICT (user_id, channel) DO UPDATE SET reason = excluded.reason
WHERE suppressions.reason = ANY($5::text[]) AND NOT excluded.reason = ANY($5::text[])

-- name: find_silenced
-- Whom silences are about: whoever has the address now that a message went to (where it is not said, the user's present one). Nobody:
-- no user. On a channel without addresses, the user herself.
WITH t AS (
    SELECT t.channel, t.reason, t.user_id,
           CASE WHEN t.address_hmac <> '' THEN t.address_hmac
                WHEN t.channel = 'email' THEN p.email_hmac
                WHEN t.channel = 'sms' THEN p.phone_hmac END AS address_hmac
    FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[]) AS t (user_id, channel, reason, address_hmac)
    LEFT JOIN user_profiles p ON p.tenant_id = $1 AND p.user_id = t.user_id
)
SELECT t.channel, t.reason, t.address_hmac, p.user_id, p.external_id
FROM t LEFT JOIN user_profiles p ON p.tenant_id = $1 AND p.email_hmac = t.address_hmac
WHERE t.channel = 'email' AND t.address_hmac IS NOT NULL
UNION ALL
SELECT t.channel, t.reason, t.address_hmac, p.user_id, p.external_id
FROM t LEFT JOIN user_profiles p ON p.tenant_id = $1 AND p.phone_hmac = t.address_hmac
WHERE t.channel = 'sms' AND t.address_hmac IS NOT NULL
UNION ALL
SELECT t.channel, t.reason, NULL, p.user_id, p.external_id
FROM t JOIN user_profiles p ON p.tenant_id = $1 AND p.user_id = t.user_id
WHERE t.address_hmac IS NULL

-- name: remember_addresses
-- Addresses that stay silent, whoever has them. As with users, a fact about one replaces what a later opt-in could lift ($5).
INSERT INTO suppressed_addresses (tenant_id, channel, address_hmac, reason)
SELECT DISTINCT ON (t.channel, t.address_hmac) $1::uuid, t.channel, t.address_hmac, t.reason
FROM unnest($2::text[], $3::bytea[], $4::text[]) AS t (channel, address_hmac, reason)
ORDER BY t.channel, t.address_hmac, t.reason = ANY($5::text[])
ON CONFLICT (tenant_id, channel, address_hmac) DO UPDATE SET reason = excluded.reason
WHERE suppressed_addresses.reason = ANY($5::text[]) AND NOT excluded.reason = ANY($5::text[])

-- name: names_of_users
-- What the tenant calls these users.
SELECT external_id FROM user_profiles WHERE tenant_id = $1 AND user_id = ANY($2::bigint[])

-- name: read_records
-- One user's latest words that hold, newest first; row-level security keeps them to the tenant of the transaction.
SELECT channel, category, consented, recorded_at, source, basis, proven FROM consent_records
WHERE user_id = $1 AND (expires_at IS NULL OR expires_at > now() OR NOT consented)
ORDER BY recorded_at DESC, channel

-- name: read_consents
-- Everything that bears on these users' consent, read before each send. A suppression is a row without a category. What has expired
-- is no consent any more.
SELECT user_id, channel, category, consented, recorded_at, '' AS source, basis, proven FROM consent_records
WHERE user_id = ANY($1::bigint[]) AND (expires_at IS NULL OR expires_at > now() OR NOT consented)
UNION ALL
SELECT user_id, channel, NULL, NULL, created_at, NULL, NULL, NULL FROM suppressions WHERE user_id = ANY($1::bigint[])

-- name: read_events
-- All that one user ever said up to an instant, in the order in which it was written down, each with the hash before it.
SELECT e.number, e.channel, e.category, e.consented, e.source, e.state, e.basis, e.details, e.expires_at,
       (extract(epoch FROM e.recorded_at) * 1000000)::bigint AS at_us, e.evidence, consent_content(e) AS content, e.hash, p.hash AS previous_hash
FROM consent_events e LEFT JOIN consent_events p ON p.tenant_id = e.tenant_id AND p.number = e.number - 1
WHERE e.tenant_id = $1 AND e.user_id = $2 AND date_trunc('milliseconds', e.recorded_at) <= $3
ORDER BY e.number

-- name: read_chain
-- The next rows of a tenant's chain, as they were hashed.
SELECT number, consent_content(e) AS content, hash FROM consent_events e WHERE tenant_id = $1 AND number > $2 ORDER BY number LIMIT $3

-- name: read_chain_head
-- The last row that a tenant's chain had.
SELECT number, hash FROM consent_chains WHERE tenant_id = $1
