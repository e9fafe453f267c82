-- name: park
-- A message between our own parts that cannot be worked on.
INSERT INTO parked_messages (source, origin, payload, reason) VALUES ($1, $2, $3, $4)

-- name: list_parked
-- Parked messages, oldest first.
SELECT parked_id, source, origin, length(payload) AS bytes, reason, parked_at FROM parked_messages WHERE parked_id > $1 ORDER BY parked_id LIMIT $2

-- name: read_parked
-- One parked message with its bytes.
SELECT parked_id, source, origin, payload, length(payload) AS bytes, reason, parked_at FROM parked_messages WHERE parked_id = $1

-- name: count_parked
-- How many there are of each source, also where there are none.
SELECT s.source, count(p.parked_id) AS messages
FROM unnest(ARRAY['outbox', 'receipts']) AS s (source) LEFT JOIN parked_messages p USING (source)
GROUP BY s.source

-- name: take_parked
-- Take out what goes back to where it came from.
DELETE FROM parked_messages WHERE parked_id = ANY ($1::bigint[]) RETURNING parked_id, source, origin, payload

-- name: drop_parked
-- Forget parked messages.
DELETE FROM parked_messages WHERE parked_id = ANY ($1::bigint[]) RETURNING parked_id

-- name: return_to_outbox
-- Publish again.
INSERT INTO outbox (topic, events, payload) VALUES ($1, 0, $2)

-- name: return_to_inbox
-- Project again.
INSERT INTO receipt_inbox (provider, receipts, payload) VALUES ($1, 0, $2)
