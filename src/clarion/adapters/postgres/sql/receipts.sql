-- name: store_receipts
-- Providers' words, durable before they get their 200. Without a tenant: words of our own.
INSERT INTO receipt_inbox (tenant_id, provider, receipts, payload)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bytea[])

-- name: take_receipts
-- The oldest batches that are due and that no other projector holds, up to about $2 receipts, but at least one.
DELETE FROM receipt_inbox
WHERE inbox_id IN (
    SELECT inbox_id
    FROM (SELECT inbox_id, sum(receipts) OVER (ORDER BY inbox_id) - receipts AS earlier
          FROM (SELECT inbox_id, receipts FROM receipt_inbox
                WHERE retry_at <= now() ORDER BY inbox_id LIMIT $1 FOR UPDATE SKIP LOCKED) AS due) AS summed
    WHERE earlier < $2)
RETURNING inbox_id, tenant_id, provider, payload, received_at

-- name: postpone_receipts
-- Receipts that cannot be folded yet.
INSERT INTO receipt_inbox (tenant_id, provider, receipts, payload, received_at, retry_at)
VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 second')

-- name: read_waiting_receipts
-- What an account has reported since $3 (UTC) and nothing of ours is known for, or not yet.
SELECT payload FROM receipt_inbox WHERE tenant_id = $1 AND provider = $2 AND received_at >= $3

-- name: find_deliveries
-- Deliveries by what their providers call them.
SELECT t.i, m.global_id
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS t (tenant_id, provider, message_id, i)
JOIN provider_message_ids m USING (tenant_id, provider, message_id)

-- name: read_open
-- Which of the deliveries are open, and how.
SELECT global_id, tenant_id, state, attempts, coalesce(leased_until > now(), false) AS lease_live
FROM open_deliveries WHERE global_id = ANY($1::uuid[])

-- name: close_settled
-- Open deliveries of which a receipt has told the end. Before their notifications, as every outcome is recorded; what a worker holds,
-- or is about to, is left to it.
DELETE FROM open_deliveries o
USING (SELECT global_id FROM open_deliveries
       WHERE global_id = ANY($1::uuid[]) AND (leased_until IS NULL OR leased_until < now())
       ORDER BY global_id FOR UPDATE SKIP LOCKED) AS s
WHERE o.global_id = s.global_id
RETURNING o.global_id, o.state, o.provider

-- name: lock_statuses
-- Current states of the deliveries that receipts speak of, locked against other projectors.
SELECT n.global_id, n.status, n.notification_id, n.tenant_id, n.user_id, n.category, n.channel, n.provider, n.traceparent, n.is_test, n.journey_id,
       n.delivered_at, n.engaged_at, n.attempts, n.attempt_log, (n.provider_cost * 1000000)::bigint AS cost
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (global_id, created_at)
JOIN notifications n ON n.global_id = t.global_id AND n.created_at = t.created_at
ORDER BY n.global_id
FOR UPDATE OF n

-- name: fold_receipts
-- New states, the first instant of each, and the log's new entries. Only forward: the caller's state machine decided that.
-- `unseen`: 1 where the receipt is the first that we hear of an attempt (its worker died); `via` is then whose it was.
UPDATE notifications n
SET status = t.status,
    delivered_at = coalesce(n.delivered_at, t.delivered_at),
    engaged_at = coalesce(n.engaged_at, t.engaged_at),
    provider_cost = coalesce(t.cost / 1000000.0, n.provider_cost),
    attempt_log = CASE WHEN t.entries IS NULL THEN n.attempt_log WHEN n.erased_at IS NOT NULL THEN '[]' ELSE coalesce(n.attempt_log, '[]') || t.entries END,
    attempts = n.attempts + t.unseen,
    provider = coalesce(t.via, n.provider),
    sent_at = CASE WHEN t.unseen = 1 THEN coalesce(n.sent_at, now()) ELSE n.sent_at END
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::jsonb[], $8::int[], $9::text[])
     AS t (global_id, created_at, status, delivered_at, engaged_at, cost, entries, unseen, via)
WHERE n.global_id = t.global_id AND n.created_at = t.created_at
