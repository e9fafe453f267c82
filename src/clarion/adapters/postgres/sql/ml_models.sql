-- name: list_models
-- A tenant's models, the latest first.
SELECT name, number, status, parent, reason, from_at, to_at, metrics, checksum, created_at, live_at, held
FROM ml_models WHERE tenant_id = $1 ORDER BY number DESC LIMIT $2

-- name: find_model
-- One of them, with its artefact.
SELECT name, number, status, parent, reason, from_at, to_at, metrics, checksum, created_at, live_at, held, artefact
FROM ml_models WHERE tenant_id = $1 AND name = $2

-- name: find_live
-- What serves since an instant, but for what was seen: of these tenants, since these milliseconds.
SELECT tenant_id, name, checksum, artefact, live_at FROM ml_models m WHERE status = 'live' AND live_at > $1
AND NOT EXISTS (
    SELECT FROM unnest($2::uuid[], $3::timestamptz[]) AS s (tenant_id, live_at)
    WHERE s.tenant_id = m.tenant_id AND s.live_at = date_trunc('milliseconds', m.live_at)
)

-- name: hold_models
-- Models of a tenant are numbered, promoted and retired one at a time.
SELECT pg_advisory_xact_lock(hashtextextended('ml_models' || $1::uuid::text, 0))

-- name: next_number
-- The number of the next one.
SELECT coalesce(max(number), 0) + 1 FROM ml_models WHERE tenant_id = $1

-- name: add_model
-- One that was fitted. It serves nobody yet.
INSERT INTO ml_models (tenant_id, name, number, status, parent, reason, from_at, to_at, metrics, checksum, artefact)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: retire_live
-- What served until now.
UPDATE ml_models SET status = 'retired' WHERE tenant_id = $1 AND status = 'live'

-- name: make_live
-- What serves from now on; nothing where there is no such model.
UPDATE ml_models SET status = 'live', reason = $3, live_at = clock_timestamp(), held = $4 WHERE tenant_id = $1 AND name = $2 RETURNING name

-- name: settle_model
-- What became of one that does not serve.
UPDATE ml_models SET status = $3, reason = $4 WHERE tenant_id = $1 AND name = $2

-- name: prune_models
-- Old ones that served nobody.
DELETE FROM ml_models WHERE tenant_id = $1 AND status IN ('refused', 'retired')
AND number <= (SELECT max(number) FROM ml_models WHERE tenant_id = $1) - $2

-- name: ask_training
-- A tenant's models are to be fitted now, though it failed lately.
INSERT INTO ml_trainings AS t (tenant_id, asked_at) VALUES ($1, clock_timestamp())
ON CONFLICT (tenant_id) DO UPDATE SET asked_at = clock_timestamp(), retry_at = NULL

-- name: due_trainings
-- Which of these tenants are due, in one look: `take_training` decides who has them.
SELECT d.tenant_id FROM unnest($1::uuid[]) WITH ORDINALITY AS d (tenant_id, place)
LEFT JOIN ml_trainings t USING (tenant_id)
WHERE (t.leased_until IS NULL OR t.leased_until < clock_timestamp())
AND (t.retry_at IS NULL OR t.retry_at < clock_timestamp())
AND (t.asked_at IS NOT NULL OR t.ended_at IS NULL OR t.ended_at < $2)
ORDER BY d.place

-- name: take_training
-- A tenant whose models are due: it was asked for, or the last one ended before $2, and if it failed, that was long enough ago ($2 of
-- null: it is due whatever was). It is $4's until the lease ends, and nobody else's.
INSERT INTO ml_trainings AS t (tenant_id, leased_until, holder) VALUES ($1, clock_timestamp() + $3::bigint * interval '1 ms', $4)
ON CONFLICT (tenant_id) DO UPDATE SET leased_until = clock_timestamp() + $3::bigint * interval '1 ms', holder = $4
WHERE (t.leased_until IS NULL OR t.leased_until < clock_timestamp())
AND ($2::timestamptz IS NULL OR (
    (t.retry_at IS NULL OR t.retry_at < clock_timestamp())
    AND (t.asked_at IS NOT NULL OR t.ended_at IS NULL OR t.ended_at < $2)
))
RETURNING true

-- name: renew_lease
-- It is still $3's, for a while more; nothing where it is another's by now.
UPDATE ml_trainings SET leased_until = clock_timestamp() + $2::bigint * interval '1 ms'
WHERE tenant_id = $1 AND holder = $3 AND leased_until IS NOT NULL RETURNING true

-- name: end_training
-- It is over. Who lost the lease meanwhile ends nothing.
UPDATE ml_trainings SET asked_at = CASE WHEN asked_at <= $2 THEN NULL ELSE asked_at END, leased_until = NULL, ended_at = clock_timestamp(),
    outcome = $3, failures = 0, retry_at = NULL, holder = ''
WHERE tenant_id = $1 AND holder = $4

-- name: put_off_training
-- It failed, and is tried again after a while.
UPDATE ml_trainings SET leased_until = NULL, retry_at = clock_timestamp() + $2::bigint * interval '1 ms', outcome = $3, failures = failures + 1,
    holder = ''
WHERE tenant_id = $1 AND holder = $4

-- name: find_training
-- How it stands.
SELECT asked_at, coalesce(leased_until > clock_timestamp(), false) AS is_running, ended_at, outcome, holder, failures, retry_at
FROM ml_trainings WHERE tenant_id = $1

-- name: due_watches
-- On which of these tenants nobody had an eye for a while, nor has now.
SELECT d.tenant_id FROM unnest($1::uuid[]) WITH ORDINALITY AS d (tenant_id, place)
LEFT JOIN ml_trainings t USING (tenant_id)
WHERE (t.watched_at IS NULL OR t.watched_at < clock_timestamp() - $2::bigint * interval '1 ms')
AND (t.watch_leased_until IS NULL OR t.watch_leased_until < clock_timestamp())
ORDER BY d.place

-- name: take_watch
-- A tenant on which nobody had an eye for drift for a while, nor has now.
INSERT INTO ml_trainings AS t (tenant_id, watch_leased_until) VALUES ($1, clock_timestamp() + $3::bigint * interval '1 ms')
ON CONFLICT (tenant_id) DO UPDATE SET watch_leased_until = clock_timestamp() + $3::bigint * interval '1 ms'
WHERE (t.watched_at IS NULL OR t.watched_at < clock_timestamp() - $2::bigint * interval '1 ms')
AND (t.watch_leased_until IS NULL OR t.watch_leased_until < clock_timestamp())
RETURNING true

-- name: end_watch
-- Somebody has looked.
UPDATE ml_trainings SET watched_at = clock_timestamp(), watch_leased_until = NULL WHERE tenant_id = $1
