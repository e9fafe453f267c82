-- name: lock_tokens
-- Two writers of one token come one after the other, so that each sees who had it before. Before any user's row, in one order.
SELECT pg_advisory_xact_lock(t.number) FROM unnest($1::bigint[]) AS t (number)

-- name: lock_users
-- These users, and whoever has one of these tokens now.
SELECT user_id FROM user_profiles
WHERE tenant_id = $1
      AND (user_id = ANY($2::bigint[])
           OR user_id IN (SELECT d.user_id FROM user_devices d WHERE d.tenant_id = $1 AND d.token_hmac = ANY($3::bytea[])))
ORDER BY user_id FOR UPDATE

-- name: find_owners
-- Whose these tokens are now.
SELECT DISTINCT u.external_id
FROM user_devices d JOIN user_profiles u USING (user_id)
WHERE d.tenant_id = $1 AND d.token_hmac = ANY($2::bytea[])

-- name: put_devices
-- A token is its last writer's ($6: with a profile or by itself, which holds for as long as it stays with one user). The first
-- of several counts as the newest, so that a list comes back in its order. A profile brings no token back that is dead.
INSERT INTO user_devices (tenant_id, user_id, token_hmac, platform, sealed, with_profile, last_seen)
SELECT $1, t.user_id, t.token_hmac, t.platform, t.sealed, $6, now() - t.i * interval '1 microsecond'
FROM unnest($2::bigint[], $3::bytea[], $4::text[], $5::bytea[]) WITH ORDINALITY AS t (user_id, token_hmac, platform, sealed, i)
WHERE NOT ($6 AND EXISTS (SELECT FROM dead_devices x WHERE x.tenant_id = $1 AND x.token_hmac = t.token_hmac))
ON CONFLICT (tenant_id, token_hmac) DO UPDATE
SET user_id = excluded.user_id, platform = excluded.platform, sealed = excluded.sealed, last_seen = excluded.last_seen,
    with_profile = excluded.with_profile AND (user_devices.with_profile OR user_devices.user_id <> excluded.user_id)

-- name: touch_device
-- A device that is seen again where it was. Sealed anew, because its user's key may have been.
UPDATE user_devices SET last_seen = now(), sealed = $5, with_profile = false
WHERE tenant_id = $1 AND user_id = $2 AND token_hmac = $3 AND platform = $4
RETURNING last_seen

-- name: replace_devices
-- What a profile says goes before what earlier ones said ($3: whether it lists devices; then before all others too).
DELETE FROM user_devices d USING unnest($1::bigint[], $2::boolean[]) AS t (user_id, lists)
WHERE d.user_id = t.user_id AND (d.with_profile OR t.lists) AND d.token_hmac <> ALL($3::bytea[])

-- name: trim_devices
-- The newest of a user's devices stay.
DELETE FROM user_devices d
USING (SELECT tenant_id, token_hmac, row_number() OVER (ORDER BY last_seen DESC) AS place FROM user_devices WHERE user_id = $1) AS s
WHERE d.tenant_id = s.tenant_id AND d.token_hmac = s.token_hmac AND s.place > $2

-- name: end_dead_tokens
-- A new token ends what was known of the old one.
DELETE FROM suppressions WHERE user_id = $1 AND channel = 'push' AND reason = ANY($2::text[])

-- name: settle_reach
-- Whether push ($2: its bit) reaches these users. Their profile is no longer what was last written, so that writing it again counts.
UPDATE user_profiles p
SET reachable = p.reachable & ~$2::int | CASE WHEN EXISTS (SELECT FROM user_devices d WHERE d.user_id = p.user_id) THEN $2::int ELSE 0 END,
    fingerprint = '', version = p.version + 1, updated_at = now()
WHERE p.user_id = ANY($1::bigint[])
RETURNING p.tenant_id, p.external_id

-- name: read_devices
-- A user's devices, the newest first.
SELECT token_hmac, platform, sealed, last_seen FROM user_devices WHERE user_id = $1 ORDER BY last_seen DESC

-- name: drop_device
-- One device of one user.
DELETE FROM user_devices WHERE tenant_id = $1 AND user_id = $2 AND token_hmac = $3 RETURNING user_id

-- name: drop_stale_devices
-- Devices that came by themselves and were not seen for so many days: their tokens are dead by then. A portion at a time.
DELETE FROM user_devices
WHERE (tenant_id, token_hmac) IN (SELECT tenant_id, token_hmac FROM user_devices
                                  WHERE NOT with_profile AND last_seen < now() - $1 * interval '1 day' LIMIT $2)
RETURNING user_id

-- name: drop_dead_devices
-- Devices whose tokens died ($3: when), unless their app was seen since. A profile that lists one says nothing of the app.
WITH dropped AS (
    DELETE FROM user_devices d USING unnest($2::bytea[], $3::bigint[]) AS t (token_hmac, since_ms)
    WHERE d.tenant_id = $1 AND d.token_hmac = t.token_hmac
          AND (d.with_profile OR d.last_seen <= to_timestamp(t.since_ms / 1000.0))
    RETURNING d.tenant_id, d.token_hmac, d.user_id)
INSERT INTO dead_devices (tenant_id, token_hmac, user_id) SELECT tenant_id, token_hmac, user_id FROM dropped
ON CONFLICT (tenant_id, token_hmac) DO UPDATE SET user_id = excluded.user_id, died_at = excluded.died_at
RETURNING user_id

-- name: revive_device
-- Its app registered it: the token lives.
DELETE FROM dead_devices WHERE tenant_id = $1 AND token_hmac = $2

-- name: forget_dead_devices
-- Dead tokens that nobody lists any more by now.
DELETE FROM dead_devices WHERE died_at < now() - $1 * interval '1 day'
