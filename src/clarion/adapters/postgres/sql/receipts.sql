-- name: store_receipts
-- A provider's word, durable before it gets its 200.
INSERT INTO receipt_inbox (provider, receipts, payload) VALUES ($1, $2, $3)

-- name: take_receipts
-- The oldest batches that are due and that no other projector holds.
DELETE FROM receipt_inbox
WHERE inbox_id IN (SELECT inbox_id FROM receipt_inbox WHERE retry_at <= now() ORDER BY inbox_id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING inbox_id, provider, payload, received_at

-- name: postpone_receipts
-- Receipts whose delivery is not known yet (a receipt can beat the response) wait, for an hour at most.
INSERT INTO receipt_inbox (provider, receipts, payload, received_at, retry_at)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')

-- name: lock_statuses
-- Current states of the deliveries that receipts speak of, locked against other projectors.
SELECT n.global_id, n.status, n.notification_id, n.tenant_id, n.user_id, n.category, n.channel, n.provider, n.traceparent, n.is_test, n.delivered_at, n.engaged_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (global_id, created_at)
JOIN notifications n ON n.global_id = t.global_id AND n.created_at = t.created_at
ORDER BY n.global_id
FOR UPDATE OF n

-- name: fold_receipts
-- New states and the first instant of each. Only forward: the caller's state machine decided that.
UPDATE notifications n
SET status = t.status,
    delivered_at = coalesce(n.delivered_at, t.delivered_at),
    engaged_at = coalesce(n.engaged_at, t.engaged_at)
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::timestamptz[])
     AS t (global_id, created_at, status, delivered_at, engaged_at)
WHERE n.global_id = t.global_id AND n.created_at = t.created_at
