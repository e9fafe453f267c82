-- name: list_letters
-- Dead letters, oldest first, from a position on. $1: the tenant, null for all; $6: those redriven (null: both kinds).
SELECT d.*, u.external_id
FROM dead_letters d LEFT JOIN user_profiles u ON u.user_id = d.user_id
WHERE ($1::uuid IS NULL OR d.tenant_id = $1) AND ($2::text IS NULL OR d.reason = $2) AND ($3::text IS NULL OR d.channel = $3)
  AND ($4::text IS NULL OR d.category = $4) AND ($5::timestamptz IS NULL OR d.died_at < $5)
  AND ($6::boolean IS NULL OR (d.redriven_at IS NOT NULL) = $6) AND (d.died_at, d.global_id) > ($7, $8)
ORDER BY d.died_at, d.global_id
LIMIT $9

-- name: read_letter
-- One dead letter.
SELECT d.*, u.external_id
FROM dead_letters d LEFT JOIN user_profiles u ON u.user_id = d.user_id
WHERE d.global_id = $2 AND ($1::uuid IS NULL OR d.tenant_id = $1)

-- name: redrive
-- Open deliveries anew, oldest letter first, one each 1/$8 seconds from now on, or from where the tenant's last redrive ends.
-- What has expired or arrived meanwhile, and what retention took, stays as it is.
WITH chosen AS (
    SELECT d.global_id, d.created_at, d.tenant_id, d.lease_epoch, d.died_at
    FROM dead_letters d JOIN notifications n ON n.global_id = d.global_id AND n.created_at = d.created_at
    WHERE ($1::uuid IS NULL OR d.tenant_id = $1) AND d.redriven_at IS NULL AND ($2::uuid[] IS NULL OR d.global_id = ANY ($2))
      AND ($3::text IS NULL OR d.reason = $3) AND ($4::text IS NULL OR d.channel = $4) AND ($5::text IS NULL OR d.category = $5)
      AND ($6::timestamptz IS NULL OR d.died_at < $6) AND ($10::boolean IS NULL OR d.is_test = $10)
      AND n.status IN ('failed', 'unknown') AND (n.expires_at IS NULL OR n.expires_at > now())
    ORDER BY d.died_at, d.global_id
    LIMIT $7
    FOR UPDATE OF d SKIP LOCKED
), begun AS (
    SELECT t.tenant_id, greatest(now(), max(r.redrive_due_at)) AS at
    FROM (SELECT DISTINCT tenant_id FROM chosen) t LEFT JOIN dead_letters r ON r.tenant_id = t.tenant_id
    GROUP BY t.tenant_id
), planned AS (
    SELECT c.*, b.at + row_number() OVER (PARTITION BY c.tenant_id ORDER BY c.died_at, c.global_id) * (interval '1 second' / $8::float8) AS due_at
    FROM chosen c JOIN begun b USING (tenant_id)
), woken AS (
    UPDATE notifications n SET status = 'retrying'
    FROM planned p
    WHERE n.global_id = p.global_id AND n.created_at = p.created_at AND n.status IN ('failed', 'unknown')
    RETURNING n.global_id, n.created_at, n.notification_id, n.tenant_id, n.user_id, n.category, n.channel, n.priority, n.is_test, n.traceparent, n.journey_id,
              p.due_at, p.lease_epoch + 1 AS lease_epoch
), opened AS (
    INSERT INTO open_deliveries (global_id, created_at, tenant_id, due_at, visible_at, priority, lease_epoch, channel)
    SELECT global_id, created_at, tenant_id, due_at, due_at + $9 * interval '1 millisecond', priority, lease_epoch, channel FROM woken
), recounted AS (
    -- What a broadcast counted as over is under way again.
    UPDATE broadcast_chunks c SET state = 'accepted', look_at = now() + interval '50 ms'
    FROM woken w
    WHERE c.state = 'settled' AND c.accepted_at = w.created_at AND w.global_id >= c.first_id AND w.global_id <= c.last_id
), marked AS (
    UPDATE dead_letters d SET redriven_at = now(), redrive_due_at = w.due_at, redrives = d.redrives + 1
    FROM woken w WHERE d.global_id = w.global_id
)
SELECT * FROM woken ORDER BY due_at

-- name: explain_left
-- Why a redrive left these where they are.
SELECT t.global_id,
       CASE WHEN d.global_id IS NULL THEN 'unknown' WHEN d.is_test <> $3::boolean THEN 'of the other environment' WHEN d.redriven_at IS NOT NULL THEN 'redriven already'
            WHEN n.global_id IS NULL THEN 'past retention' WHEN n.status NOT IN ('failed', 'unknown') THEN 'it is ' || n.status
            WHEN n.expires_at <= now() THEN 'expired' ELSE 'busy' END AS why
FROM unnest($2::uuid[]) AS t (global_id)
LEFT JOIN dead_letters d ON d.global_id = t.global_id AND ($1::uuid IS NULL OR d.tenant_id = $1)
LEFT JOIN notifications n ON n.global_id = d.global_id AND n.created_at = d.created_at

-- name: count_redrivable
-- How many letters of a choice wait for a redrive that could take them.
SELECT count(*) FROM dead_letters d JOIN notifications n ON n.global_id = d.global_id AND n.created_at = d.created_at
WHERE ($1::uuid IS NULL OR d.tenant_id = $1) AND d.redriven_at IS NULL
  AND ($2::text IS NULL OR d.reason = $2) AND ($3::text IS NULL OR d.channel = $3) AND ($4::text IS NULL OR d.category = $4)
  AND ($5::timestamptz IS NULL OR d.died_at < $5) AND ($6::boolean IS NULL OR d.is_test = $6)
  AND n.status IN ('failed', 'unknown') AND (n.expires_at IS NULL OR n.expires_at > now())

-- name: drop_letters
-- Forget letters; their notifications stay as they ended.
DELETE FROM dead_letters
WHERE global_id = ANY ($2::uuid[]) AND ($1::uuid IS NULL OR tenant_id = $1) AND ($3::boolean IS NULL OR is_test = $3)
RETURNING global_id

-- name: letters_backlog
-- How many letters wait for somebody, and for how long (seconds) the oldest.
SELECT count(*) AS letters, coalesce(extract(epoch FROM now() - min(died_at)), 0)::float8 AS age_s FROM dead_letters WHERE redriven_at IS NULL

-- name: drop_old_letters
-- Nobody can redrive what retention has taken.
DELETE FROM dead_letters WHERE died_at < now() - interval '30 days'
