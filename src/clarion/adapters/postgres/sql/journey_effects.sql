-- name: read_users
-- Users by our own ids, with what journeys know of them.
SELECT user_id, tenant_id, external_id, timezone, language, country, region, preferred_channel, reachable, created_at, sealed, ml_features
FROM user_profiles WHERE user_id = ANY ($1::bigint[])

-- name: read_statuses
-- The statuses of the deliveries of notifications: their ids are the notification's but for the last four bits, one range of the primary key.
-- OFFSET keeps it a look-up for each: as a join it would be planned on a guess of how many ids lie in a range.
SELECT t.ident, n.status
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (ident, created_at)
CROSS JOIN LATERAL (
    SELECT CASE WHEN engaged_at IS NOT NULL THEN 'engaged' WHEN delivered_at IS NOT NULL THEN 'delivered' ELSE status END AS status
    FROM notifications
    WHERE global_id >= t.ident AND global_id <= (substr(t.ident::text, 1, 35) || 'f')::uuid AND created_at = t.created_at
    OFFSET 0) n

-- name: end_chains
-- Notifications that are taken back go on to no further channel.
UPDATE fallbacks SET state = 'cancelled', due_at = NULL
WHERE notification_id = ANY ($1::uuid[]) AND due_at IS NOT NULL

-- name: read_generation
-- Which secret signs, and when it took the place of the one before (null: it is the first).
SELECT generation, replaced_at FROM journey_webhook_keys WHERE tenant_id = $1

-- name: next_generation
-- From now on the next secret signs.
INSERT INTO journey_webhook_keys AS k (tenant_id, generation) VALUES ($1, 2)
ON CONFLICT (tenant_id) DO UPDATE SET generation = k.generation + 1, replaced_at = now()
RETURNING generation, replaced_at
