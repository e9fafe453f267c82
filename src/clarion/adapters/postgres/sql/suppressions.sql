-- name: lock_users
-- These users, in one order, before anything of theirs is written.
SELECT user_id FROM user_profiles WHERE tenant_id = $1 AND user_id = ANY($2::bigint[]) ORDER BY user_id FOR UPDATE

-- name: silent_users
-- Which channels of these users are silent.
SELECT user_id, channel FROM suppressions WHERE user_id = ANY($1::bigint[])

-- name: silent_addresses
-- Which of these addresses are silent.
SELECT channel, address_hmac FROM suppressed_addresses WHERE tenant_id = $1 AND address_hmac = ANY($2::bytea[])

-- name: mark_users
-- Where suppressions come from, if they are new; one that is certain once need not be looked at again.
UPDATE suppressions s
SET source = CASE WHEN t.is_fresh THEN $4 ELSE s.source END, review = $5 AND (t.is_fresh OR s.review)
FROM unnest($1::bigint[], $2::text[], $3::bool[]) AS t (user_id, channel, is_fresh)
WHERE s.user_id = t.user_id AND s.channel = t.channel AND (t.is_fresh OR s.review)

-- name: mark_addresses
-- As `mark_users`, of addresses.
UPDATE suppressed_addresses a
SET source = CASE WHEN t.is_fresh THEN $5 ELSE a.source END, review = $6 AND (t.is_fresh OR a.review)
FROM unnest($2::text[], $3::bytea[], $4::bool[]) AS t (channel, address_hmac, is_fresh)
WHERE a.tenant_id = $1 AND a.channel = t.channel AND a.address_hmac = t.address_hmac AND (t.is_fresh OR a.review)

-- name: free_users
-- End suppressions of these users' channel that have one of the reasons, or nobody was certain of; the users' versions move with it.
WITH freed AS (
    DELETE FROM suppressions
    WHERE user_id = ANY($2::bigint[]) AND channel = $3 AND (reason = ANY($4::text[]) OR review)
    RETURNING user_id
)
UPDATE user_profiles p SET version = p.version + 1, updated_at = now() FROM freed
WHERE p.tenant_id = $1 AND p.user_id = freed.user_id
RETURNING p.external_id

-- name: free_addresses
-- End suppressions of addresses in the same way.
DELETE FROM suppressed_addresses
WHERE tenant_id = $1 AND channel = $2 AND address_hmac = ANY($3::bytea[]) AND (reason = ANY($4::text[]) OR review)
RETURNING address_hmac

-- name: kept_reasons
-- Why these are silent still.
SELECT reason FROM suppressions WHERE user_id = ANY($2::bigint[]) AND channel = $3
UNION
SELECT reason FROM suppressed_addresses WHERE tenant_id = $1 AND channel = $3 AND address_hmac = ANY($4::bytea[])

-- name: find_holders
-- Who has these e-mail addresses ($2) and numbers ($3) now, and in which language she reads.
SELECT 'email' AS channel, email_hmac AS address_hmac, external_id, user_id, language
FROM user_profiles WHERE tenant_id = $1 AND email_hmac = ANY($2::bytea[])
UNION ALL
SELECT 'sms', phone_hmac, external_id, user_id, language FROM user_profiles WHERE tenant_id = $1 AND phone_hmac = ANY($3::bytea[])

-- name: last_texted
-- The category of the last text message that each of these users was sent: what she answers to. $3: as far back as one may answer.
SELECT u.user_id, n.category
FROM unnest($2::bigint[]) AS u (user_id)
CROSS JOIN LATERAL (
    SELECT category FROM notifications
    WHERE tenant_id = $1 AND user_id = u.user_id AND channel = 'sms' AND sent_at IS NOT NULL AND created_at >= $3
    ORDER BY created_at DESC LIMIT 1
) n

-- name: page_suppressions
-- A tenant's suppressions, newest first: of users, of addresses that nobody has (now), and refusals of categories. Each part is
-- cut by itself, so that it is read from its index. $7, $8: the place after which the page begins.
WITH bounds AS (SELECT to_timestamp(0) + $7::bigint * interval '1 microsecond' AS at), of_users AS (
    SELECT s.created_at AS at, 'u' || s.user_id || s.channel AS key, s.channel, '*' AS category, s.reason, s.source, s.review,
           p.external_id
    FROM suppressions s JOIN user_profiles p ON p.user_id = s.user_id, bounds
    WHERE s.tenant_id = $1 AND (s.created_at, 'u' || s.user_id || s.channel) < (bounds.at, $8::text)
          AND s.created_at <= bounds.at
          AND ($2::bigint IS NULL OR s.user_id = $2)
          AND ($3::bytea[] IS NULL OR CASE s.channel WHEN 'email' THEN p.email_hmac WHEN 'sms' THEN p.phone_hmac END = ANY($3))
          AND ($4::text IS NULL OR s.channel = $4) AND ($5::text IS NULL OR s.reason = $5)
          AND ($6::bool IS NULL OR s.review = $6)
    ORDER BY 1 DESC, 2 DESC LIMIT $9
), of_addresses AS (
    SELECT a.created_at, 'a' || encode(a.address_hmac, 'hex') || a.channel, a.channel, '*', a.reason, a.source, a.review,
           NULL::text
    FROM suppressed_addresses a, bounds
    WHERE a.tenant_id = $1 AND (a.created_at, 'a' || encode(a.address_hmac, 'hex') || a.channel) < (bounds.at, $8::text)
          AND a.created_at <= bounds.at
          AND $2::bigint IS NULL AND ($3::bytea[] IS NULL OR a.address_hmac = ANY($3))
          AND ($4::text IS NULL OR a.channel = $4) AND ($5::text IS NULL OR a.reason = $5)
          AND ($6::bool IS NULL OR a.review = $6)
          AND NOT EXISTS (SELECT FROM user_profiles p WHERE p.tenant_id = $1 AND a.channel = 'email' AND p.email_hmac = a.address_hmac)
          AND NOT EXISTS (SELECT FROM user_profiles p WHERE p.tenant_id = $1 AND a.channel = 'sms' AND p.phone_hmac = a.address_hmac)
    ORDER BY 1 DESC, 2 DESC LIMIT $9
), refusals AS (
    SELECT c.recorded_at, 'w' || c.user_id || c.channel || c.category, c.channel, c.category, 'unsubscribe', c.source, false,
           p.external_id
    FROM consent_records c JOIN user_profiles p ON p.user_id = c.user_id, bounds
    WHERE c.tenant_id = $1 AND NOT c.consented
          AND (c.recorded_at, 'w' || c.user_id || c.channel || c.category) < (bounds.at, $8::text) AND c.recorded_at <= bounds.at
          AND ($2::bigint IS NULL OR c.user_id = $2)
          AND ($3::bytea[] IS NULL OR CASE c.channel WHEN 'email' THEN p.email_hmac WHEN 'sms' THEN p.phone_hmac END = ANY($3))
          AND ($4::text IS NULL OR c.channel = $4) AND ($5::text IS NULL OR $5 = 'unsubscribe') AND coalesce($6::bool, false) = false
    ORDER BY 1 DESC, 2 DESC LIMIT $9
)
SELECT (extract(epoch FROM at) * 1000000)::bigint AS at_us, key, channel, category, reason, source, review, external_id
FROM (SELECT * FROM of_users UNION ALL SELECT * FROM of_addresses UNION ALL SELECT * FROM refusals) found
ORDER BY at DESC, key DESC LIMIT $9
