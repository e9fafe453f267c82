-- name: take_outbox
-- The oldest batches of events of a region, leased by this transaction.
SELECT outbox_id, payload FROM journey_outbox WHERE region = $1 ORDER BY outbox_id LIMIT $2 FOR UPDATE SKIP LOCKED

-- name: drop_outbox
-- Batches that the log has.
DELETE FROM journey_outbox WHERE outbox_id = ANY($1::UUID[])

-- name: outbox_backlog
-- Events that are not on the log yet.
SELECT coalesce(sum(events), 0)::INT8 FROM journey_outbox WHERE region = $1
