-- name: lock_keys
-- Try to take the idempotency keys for this transaction. A key that another transaction holds is answered 409 at once, not waited for.
SELECT pg_try_advisory_xact_lock(hashtextextended(k, 7245)) AS taken
FROM unnest($1::text[]) WITH ORDINALITY AS t (k, i)
ORDER BY i

-- name: find_keys
-- The stored answers of keys that were used in the last 24 hours. Runs after lock_keys, so that it sees what the last holder committed.
SELECT i, ik.fingerprint, ik.status, ik.body
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS t (tenant_id, environment, route, key, i)
JOIN idempotency_keys ik USING (tenant_id, environment, route, key)
WHERE ik.created_at > now() - interval '24 hours'

-- name: find_ids
-- Which of these notifications there are, and how the furthest delivery of each stands: `blocked` only where all are. Runs after lock_keys.
-- A notification's deliveries have its id but for the last four bits: one range of the primary key.
SELECT i, n.status
FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS t (ident, created_at, i)
CROSS JOIN LATERAL (
    SELECT status FROM notifications
    WHERE global_id >= t.ident AND global_id <= (substr(t.ident::text, 1, 35) || 'f')::uuid AND created_at = t.created_at
    ORDER BY status = 'blocked' LIMIT 1) n

-- name: store_keys
-- Keep the answers that repeats will get. A key older than 24 hours is a new request: its row is replaced.
INSERT INTO idempotency_keys (tenant_id, environment, route, key, fingerprint, status, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::smallint[], $7::bytea[])
ON CONFLICT (tenant_id, environment, route, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body, created_at = now()

-- name: record_promise
-- What was promised, compared with the rows by `clarion ledger verify`; and the events, as one row. One round trip for both.
WITH promised AS (
    INSERT INTO accept_batches (tenant_id, day, deliveries, id_sum)
    SELECT * FROM unnest($1::uuid[], $2::date[], $3::int[], $4::numeric[])
)
INSERT INTO outbox (topic, events, payload) VALUES ($5, $6, $7)

-- name: append_outbox
-- One row a batch of events, in the transaction that made them.
INSERT INTO outbox (topic, events, payload) VALUES ($1, $2, $3)
