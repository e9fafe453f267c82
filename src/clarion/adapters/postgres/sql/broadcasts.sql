-- name: find_request
-- The broadcast that a request with the same idempotency key made in the last 24 hours, before it could be answered.
SELECT broadcast_id FROM broadcasts WHERE tenant_id = $1 AND request = $2 AND created_at > now() - interval '24 hours' LIMIT 1

-- name: insert_broadcast
-- A broadcast whose audience is yet to be collected.
INSERT INTO broadcasts (broadcast_id, tenant_id, environment, name, stage, rehearsal, source, message, timing, rate_per_s, chunk_size, request)
VALUES ($1, $2, $3, $4, 'collecting', $5, $6, $7, $8, $9, $10, $11)

-- name: insert_list
-- The names of a list, as given, in pages. Each page comes as a JSON array.
INSERT INTO broadcast_lists (tenant_id, broadcast_id, page, names)
SELECT $1, $2, t.page - 1, ARRAY(SELECT jsonb_array_elements_text(t.names)) FROM unnest($3::jsonb[]) WITH ORDINALITY AS t (names, page)

-- name: read_broadcast
-- One broadcast; row-level security keeps it to the tenant of the transaction.
SELECT b.broadcast_id, b.name, b.environment, b.stage, b.held, b.rehearsal, b.source, b.message, b.timing, b.rate_per_s, b.audience, b.failure,
       b.created_at, b.ended_at,
       (SELECT min(c.due_at) FROM broadcast_chunks c WHERE c.broadcast_id = b.broadcast_id AND c.state = 'ready') AS next_due_at
FROM broadcasts b
WHERE b.broadcast_id = $1

-- name: list_broadcasts
-- The tenant's broadcasts, newest first, from a position on.
SELECT b.broadcast_id, b.name, b.environment, b.stage, b.held, b.rehearsal, b.source, b.message, b.timing, b.rate_per_s, b.audience, b.failure,
       b.created_at, b.ended_at,
       (SELECT min(c.due_at) FROM broadcast_chunks c WHERE c.broadcast_id = b.broadcast_id AND c.state = 'ready') AS next_due_at
FROM broadcasts b
WHERE b.tenant_id = $1 AND b.broadcast_id < $2
ORDER BY b.broadcast_id DESC
LIMIT $3

-- name: count_members
-- Where each member of the snapshot stands, all as of one instant: whole chunks that wait or were dropped, those without a row, the
-- tallies of settled chunks; of the others how they began where all deliveries are still open (the narrow table tells, ten times
-- cheaper), else their rows, a member with several deliveries by the most advanced. $2: the statuses, the least advanced first.
WITH book AS (
    SELECT chunk, state, size, refused_count, first_id, last_id, accepted_at, tally, began, deliveries FROM broadcast_chunks WHERE broadcast_id = $1
), open AS (
    SELECT b.*,
           (SELECT count(*) FROM open_deliveries o WHERE o.global_id >= b.first_id AND o.global_id <= b.last_id) = b.deliveries AS is_whole
    FROM book b
    WHERE b.state = 'accepted'
), part AS (
    SELECT CASE state WHEN 'ready' THEN 'waiting' ELSE 'cancelled' END AS status, size AS members FROM book WHERE state IN ('ready', 'dropped')
    UNION ALL
    SELECT 'refused', refused_count FROM book WHERE refused_count > 0
    UNION ALL
    SELECT t.key, t.value::bigint FROM book CROSS JOIN LATERAL jsonb_each_text(tally) t WHERE state = 'settled'
    UNION ALL
    SELECT t.key, t.value::bigint FROM open CROSS JOIN LATERAL jsonb_each_text(began) t WHERE is_whole
    UNION ALL
    SELECT p.status, 1
    FROM open b
    CROSS JOIN LATERAL (SELECT ($2::text[])[max(array_position($2::text[], n.status))] AS status
                        FROM notifications n
                        WHERE n.global_id >= b.first_id AND n.global_id <= b.last_id AND n.created_at = b.accepted_at
                        GROUP BY n.notification_id OFFSET 0) p
    WHERE NOT b.is_whole
)
SELECT (SELECT coalesce(jsonb_object_agg(s.status, s.members), '{}') FROM (SELECT status, sum(members) AS members FROM part GROUP BY status) s) AS statuses,
       (SELECT audience FROM broadcasts WHERE broadcast_id = $1) AS audience

-- name: sum_reasons
-- For what reasons members got no row, and which rules left whom without a channel.
SELECT (SELECT coalesce(jsonb_object_agg(k, n), '{}') FROM (SELECT t.key AS k, sum(t.value::bigint) AS n FROM broadcast_chunks c, jsonb_each_text(c.refused) t
        WHERE c.broadcast_id = $1 GROUP BY t.key) s) AS refused,
       (SELECT coalesce(jsonb_object_agg(k, n), '{}') FROM (SELECT t.key AS k, sum(t.value::bigint) AS n FROM broadcast_chunks c, jsonb_each_text(c.rules) t
        WHERE c.broadcast_id = $1 GROUP BY t.key) s) AS rules

-- name: read_forecasts
-- What the examined chunks of a rehearsal would come to.
SELECT forecast FROM broadcast_chunks WHERE broadcast_id = $1 AND forecast IS NOT NULL

-- name: hold_broadcast
-- Pause. Waits for the chunk that is being accepted; none is accepted after it.
UPDATE broadcasts SET held = true WHERE tenant_id = $1 AND broadcast_id = $2 AND stage IN ('collecting', 'sending') RETURNING true

-- name: resume_broadcast
-- Go on.
UPDATE broadcasts SET held = false WHERE tenant_id = $1 AND broadcast_id = $2 AND stage IN ('collecting', 'sending') RETURNING true

-- name: cancel_broadcast
-- Stop for good. A worker takes back what is accepted and waits.
UPDATE broadcasts SET stage = 'cancelling' WHERE tenant_id = $1 AND broadcast_id = $2 AND stage IN ('collecting', 'sending', 'cancelling') RETURNING true

-- name: take_collecting
-- A broadcast whose snapshot is being taken, by chance one of them. Nobody holds it: its cursor says who was first.
SELECT broadcast_id, tenant_id, source, timing, cursor, chunk_size, chunks FROM broadcasts WHERE stage = 'collecting' ORDER BY random() LIMIT 1

-- name: move_cursor
-- The snapshot goes on: only from where it was read. Locks the row until the chunks are written with it.
UPDATE broadcasts
SET cursor = $3, chunks = chunks + $4, audience = audience + $5, stage = CASE WHEN $6 THEN 'sending' ELSE stage END
WHERE broadcast_id = $1 AND cursor = $2 AND stage = 'collecting'
RETURNING true

-- name: insert_chunks
-- Chunks of the snapshot. Names come as a JSON array a chunk; those whom nobody knows (refused) are settled as they come.
INSERT INTO broadcast_chunks (tenant_id, broadcast_id, chunk, due_at, size, names, state, drained, refused_count, refused)
SELECT $1, $2, t.chunk, t.due_at, jsonb_array_length(t.names),
       CASE WHEN t.refused IS NULL THEN ARRAY(SELECT jsonb_array_elements_text(t.names)) ELSE '{}' END,
       CASE WHEN t.refused IS NULL THEN 'ready' ELSE 'settled' END, t.refused IS NOT NULL,
       CASE WHEN t.refused IS NULL THEN 0 ELSE jsonb_array_length(t.names) END,
       CASE WHEN t.refused IS NULL THEN '{}' ELSE jsonb_build_object(t.refused, jsonb_array_length(t.names)) END
FROM unnest($3::int[], $4::timestamptz[], $5::jsonb[], $6::text[]) AS t (chunk, due_at, names, refused)

-- name: begin_sending
-- The snapshot is whole. Until the first of it is due nobody need look at the broadcast (a rehearsal waits for nothing).
UPDATE broadcasts b
SET paced_until = greatest(now(), (SELECT min(c.due_at) FROM broadcast_chunks c WHERE c.broadcast_id = b.broadcast_id AND c.state = 'ready'))
WHERE b.broadcast_id = $1 AND NOT b.rehearsal

-- name: drop_list
-- A list that became a snapshot.
DELETE FROM broadcast_lists WHERE broadcast_id = $1

-- name: fail_broadcast
-- The audience cannot be collected, and why.
UPDATE broadcasts SET stage = 'failed', failure = $2, ended_at = now() WHERE broadcast_id = $1 AND stage = 'collecting'

-- name: page_all
-- All of a tenant's users by number, from a position on.
SELECT user_id, external_id, timezone FROM user_profiles WHERE tenant_id = $1 AND user_id > $2 ORDER BY user_id LIMIT $3

-- name: page_list
-- One page of a list: its names, with the zones of those who are users.
SELECT t.name, p.user_id, p.timezone
FROM broadcast_lists l
CROSS JOIN LATERAL unnest(l.names) WITH ORDINALITY AS t (name, i)
LEFT JOIN user_profiles p ON p.tenant_id = l.tenant_id AND p.external_id = t.name
WHERE l.broadcast_id = $1 AND l.page = $2
ORDER BY t.i

-- name: take_cancelling
-- A broadcast that is to be cancelled.
SELECT broadcast_id, tenant_id FROM broadcasts WHERE stage = 'cancelling' LIMIT 1

-- name: end_cancelling
-- Cancelled: nothing of it waits any more.
UPDATE broadcasts SET stage = 'cancelled', ended_at = now() WHERE broadcast_id = $1 AND stage = 'cancelling'
