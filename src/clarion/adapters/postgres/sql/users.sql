-- name: locate_users
-- Who is there, and for those who are not, a number that nobody else gets. Writes nothing but the sequence.
SELECT p.user_id, p.version, p.fingerprint, CASE WHEN p.user_id IS NULL THEN nextval('user_seq') END AS fresh
FROM unnest($2::text[]) WITH ORDINALITY AS t (external_id, i)
LEFT JOIN user_profiles p ON p.tenant_id = $1 AND p.external_id = t.external_id
ORDER BY t.i

-- name: insert_users
-- New users. One whom somebody else made meanwhile is left as she is, and absent from the answer.
INSERT INTO user_profiles (tenant_id, home_region, user_id, external_id, sealed, fingerprint, email_hmac, phone_hmac, reachable,
                           timezone, language, country, region, preferred_channel, preferences, quiet_hours, traits,
                           phone_country, phone_zones)
SELECT $1, $2, t.user_id, t.external_id, t.sealed, t.fingerprint, nullif(t.email_hmac, ''), nullif(t.phone_hmac, ''), t.reachable,
       t.timezone, t.language, t.country, t.region, t.preferred_channel, coalesce(t.preferences, '{}'),
       nullif(t.quiet_hours, 'null'), t.traits::bigint[], t.phone_country, t.phone_zones
FROM unnest($3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[], $9::smallint[],
            $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::jsonb[], $16::jsonb[], $17::text[],
            $18::text[], $19::text[])
     AS t (user_id, external_id, sealed, fingerprint, email_hmac, phone_hmac, reachable,
           timezone, language, country, region, preferred_channel, preferences, quiet_hours, traits, phone_country, phone_zones)
ON CONFLICT (tenant_id, external_id) DO NOTHING
RETURNING user_id, version

-- name: update_users
-- What the tenant wrote of users who are there; the version moves, so that no older card comes back. A new address ends what was
-- known of the old one ($18: those reasons; a push token may be new wherever there is one).
WITH t AS (
    SELECT * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::smallint[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::jsonb[],
                         $15::text[], $16::text[], $17::text[])
         AS t (user_id, sealed, fingerprint, email_hmac, phone_hmac, reachable,
               timezone, language, country, region, preferred_channel, preferences, quiet_hours, traits, phone_country, phone_zones)
), old AS (
    SELECT user_id, coalesce(email_hmac, '') AS email_hmac, coalesce(phone_hmac, '') AS phone_hmac
    FROM user_profiles WHERE tenant_id = $1 AND user_id = ANY($2::bigint[]) ORDER BY user_id FOR UPDATE
), freed AS (
    DELETE FROM suppressions s USING old JOIN t USING (user_id)
    WHERE s.user_id = old.user_id AND s.reason = ANY($18::text[])
          AND CASE s.channel WHEN 'email' THEN old.email_hmac <> t.email_hmac
                             WHEN 'sms' THEN old.phone_hmac <> t.phone_hmac
                             ELSE t.reachable >> $19::int & 1 = 1 END
)
UPDATE user_profiles p
SET sealed = t.sealed, fingerprint = t.fingerprint, email_hmac = nullif(t.email_hmac, ''), phone_hmac = nullif(t.phone_hmac, ''),
    reachable = t.reachable & ~(1 << $19::int)
                | CASE WHEN EXISTS (SELECT FROM user_devices d WHERE d.user_id = p.user_id) THEN 1 << $19::int ELSE 0 END,
    timezone = t.timezone, language = t.language, country = t.country, region = t.region,
    preferred_channel = t.preferred_channel, preferences = coalesce(t.preferences, p.preferences),
    quiet_hours = CASE WHEN t.quiet_hours IS NULL THEN p.quiet_hours ELSE nullif(t.quiet_hours, 'null') END,
    traits = t.traits::bigint[], phone_country = t.phone_country, phone_zones = t.phone_zones, version = p.version + 1, updated_at = now()
FROM t JOIN old USING (user_id)
WHERE p.user_id = old.user_id
RETURNING p.user_id, p.version

-- name: silence_addresses
-- What is known of the addresses that these users have now. Where nothing is known of any, no user is looked at.
INSERT INTO suppressions (tenant_id, user_id, channel, reason, source, review)
SELECT $1, p.user_id, a.channel, a.reason, a.source, a.review
FROM user_profiles p
CROSS JOIN LATERAL (VALUES ('email', p.email_hmac), ('sms', p.phone_hmac)) AS h (channel, address_hmac)
JOIN suppressed_addresses a ON a.tenant_id = $1 AND a.channel = h.channel AND a.address_hmac = h.address_hmac
WHERE p.user_id = ANY($2::bigint[]) AND EXISTS (SELECT FROM suppressed_addresses WHERE tenant_id = $1)
ON CONFLICT (user_id, channel) DO NOTHING

-- name: read_user
-- One user as stored; row-level security keeps it to the tenant of the transaction.
SELECT u.user_id, u.external_id, u.sealed, u.fingerprint, u.email_hmac, u.phone_hmac, u.reachable, u.timezone, u.language,
       u.country, u.region, u.preferred_channel, u.preferences, u.quiet_hours, u.version, v.device_platforms, v.device_tokens
FROM user_profiles u
CROSS JOIN LATERAL (SELECT array_agg(d.platform ORDER BY d.last_seen DESC) AS device_platforms,
                           array_agg(d.sealed ORDER BY d.last_seen DESC) AS device_tokens
                    FROM user_devices d WHERE d.user_id = u.user_id) v
WHERE u.external_id = $1

-- name: page_users
-- A tenant's users in the order of their numbers, as `read_user` has one.
SELECT u.user_id, u.external_id, u.sealed, u.fingerprint, u.email_hmac, u.phone_hmac, u.reachable, u.timezone, u.language,
       u.country, u.region, u.preferred_channel, u.preferences, u.quiet_hours, u.version, v.device_platforms, v.device_tokens
FROM user_profiles u
CROSS JOIN LATERAL (SELECT array_agg(d.platform ORDER BY d.last_seen DESC) AS device_platforms,
                           array_agg(d.sealed ORDER BY d.last_seen DESC) AS device_tokens
                    FROM user_devices d WHERE d.user_id = u.user_id) v
WHERE u.tenant_id = $1 AND u.user_id > $2
ORDER BY u.user_id
LIMIT $3

-- name: set_preferences
-- What a user chose. Her profile is no longer what was last written, so that writing it again counts.
UPDATE user_profiles SET preferences = $3, quiet_hours = $4, fingerprint = '', version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND external_id = $2
RETURNING user_id

-- name: read_cards
-- What decisions read, with every word of consent and every suppression, as one row a user.
SELECT t.i, p.user_id, p.version, p.external_id, p.timezone, p.language, p.country, p.preferred_channel, p.reachable,
       p.preferences, p.quiet_hours, p.region, p.phone_country, p.phone_zones,
       (SELECT jsonb_agg(jsonb_build_array(c.channel, c.category, c.consented, (extract(epoch FROM c.recorded_at) * 1000)::bigint, '',
                                           c.basis, c.proven))
        FROM consent_records c
        WHERE c.user_id = p.user_id AND (c.expires_at IS NULL OR c.expires_at > now() OR NOT c.consented)) AS words,
       (SELECT array_agg(s.channel) FROM suppressions s WHERE s.user_id = p.user_id) AS suppressed
FROM unnest($2::text[]) WITH ORDINALITY AS t (external_id, i)
JOIN user_profiles p ON p.tenant_id = $1 AND p.external_id = t.external_id

-- name: find_user_ids
-- Internal ids of the tenant's own.
SELECT external_id, user_id FROM user_profiles WHERE tenant_id = $1 AND external_id = ANY($2::text[])

-- name: delete_user
-- The user with her present consent. What she said stays in consent_events, as proof, without a name.
WITH gone AS (DELETE FROM user_profiles WHERE tenant_id = $1 AND user_id = $2 RETURNING user_id),
     words AS (DELETE FROM consent_records c USING gone WHERE c.user_id = gone.user_id),
     unplugged AS (DELETE FROM user_devices d USING gone WHERE d.user_id = gone.user_id),
     buried AS (DELETE FROM dead_devices d USING gone WHERE d.user_id = gone.user_id),
     silenced AS (DELETE FROM suppressions s USING gone WHERE s.user_id = gone.user_id),
     done AS (DELETE FROM user_events e USING gone WHERE e.user_id = gone.user_id),
     counted AS (DELETE FROM event_rollups e USING gone WHERE e.user_id = gone.user_id),
     belonged AS (DELETE FROM segment_members m USING gone WHERE m.user_id = gone.user_id)
SELECT count(*) = 1 FROM gone

-- name: read_profiles
-- Sealed profiles with their versions, to be changed in part.
SELECT user_id, external_id, version, sealed FROM user_profiles WHERE tenant_id = $1 AND external_id = ANY ($2::text[])

-- name: write_profiles
-- Those that nobody wrote meanwhile. They are no longer what was last written as a whole, so that writing that again counts.
WITH due AS (
    SELECT p.user_id, t.sealed, t.traits
    FROM unnest($2::bigint[], $3::bigint[], $4::bytea[], $5::text[]) AS t (user_id, version, sealed, traits)
    JOIN user_profiles p ON p.tenant_id = $1 AND p.user_id = t.user_id AND p.version = t.version
    ORDER BY p.user_id FOR UPDATE OF p
)
UPDATE user_profiles p
SET sealed = due.sealed, traits = due.traits::bigint[], fingerprint = '', version = p.version + 1, updated_at = now()
FROM due WHERE p.user_id = due.user_id
RETURNING p.user_id
