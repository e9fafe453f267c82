-- name: take_outbox
-- The oldest batches that no other publisher holds. No cursor over ids: a later id may commit first, and would be skipped for ever.
DELETE FROM outbox
WHERE outbox_id IN (SELECT outbox_id FROM outbox ORDER BY outbox_id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING outbox_id, topic, payload

-- name: outbox_backlog
-- How many events wait, and for how long (seconds) the oldest.
SELECT coalesce(sum(events), 0)::bigint AS events, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age_s
FROM outbox
