-- name: pass_broadcast
-- Pass where the broadcast runs and its rate allows a chunk now (what is late by up to half a second is caught up with). Locks its row
-- to the end of the transaction: a pause or a cancel waits for what is being accepted, and what comes after it is accepted no more.
UPDATE broadcasts
SET paced_until = CASE WHEN rate_per_s > 0 THEN greatest(paced_until, now() - interval '500 milliseconds') + $2::int / rate_per_s * interval '1 second'
                       ELSE paced_until END
WHERE broadcast_id = $1 AND stage = 'sending' AND NOT held AND paced_until <= now()
RETURNING true

-- name: accept_chunk
-- The checkpoint: a chunk is accepted once, whoever tries. Who comes second waits for the row, and finds it no longer ready.
UPDATE broadcast_chunks
SET state = CASE WHEN $3::uuid IS NULL THEN 'settled' ELSE 'accepted' END, drained = $3::uuid IS NULL,
    first_id = $3, last_id = $4, accepted_at = $5, look_at = CASE WHEN $3::uuid IS NULL THEN NULL ELSE now() + interval '50 ms' END,
    refused_count = $6, refused = $7, rules = $8, began = $9, deliveries = $10
WHERE broadcast_id = $1 AND chunk = $2 AND state = 'ready'
RETURNING true

-- name: next_chunk
-- A chunk to accept (or, in a rehearsal, to examine): of any broadcast that runs, that its rate lets pass, and that has less
-- under way than its window. Tenants alike, whatever they have of them; one of its first few chunks, by chance, so that workers seldom
-- take the same. None is held meanwhile.
WITH open AS (
    SELECT b.broadcast_id, b.tenant_id, b.rehearsal
    FROM broadcasts b
    WHERE b.stage = 'sending' AND NOT b.held AND b.paced_until <= now()
      AND (SELECT coalesce(sum(a.size), 0) FROM broadcast_chunks a
           WHERE a.broadcast_id = b.broadcast_id AND a.state = 'accepted' AND NOT a.drained)
          < CASE WHEN b.rate_per_s > 0 THEN greatest(b.chunk_size, least($1::int, 2 * b.rate_per_s)) ELSE $1 END
), candidate AS (
    SELECT o.broadcast_id, f.chunk, row_number() OVER (PARTITION BY o.tenant_id ORDER BY random()) AS turn
    FROM open o
    CROSS JOIN LATERAL (SELECT c.chunk FROM broadcast_chunks c
                        WHERE c.broadcast_id = o.broadcast_id AND c.state = 'ready' AND (c.due_at <= now() OR o.rehearsal)
                        ORDER BY c.due_at, c.chunk LIMIT 4) f
    ORDER BY turn, random()
    LIMIT 1
)
SELECT b.broadcast_id, b.tenant_id, b.environment, b.rehearsal, b.message, c.chunk, c.due_at, c.names
FROM candidate
JOIN broadcasts b USING (broadcast_id)
JOIN broadcast_chunks c USING (broadcast_id, chunk)

-- name: stages
-- Which stages there are work for.
SELECT DISTINCT stage FROM broadcasts WHERE stage IN ('collecting', 'sending', 'cancelling')

-- name: look_at_chunks
-- Chunks whose time has come to be looked at: where nothing is open any more their members are counted and the chunk is settled. The
-- counts follow receipts: a settled chunk is counted again whenever it is twice as old, while its rows are there.
WITH due AS (
    SELECT broadcast_id, chunk, first_id, last_id, accepted_at, size - refused_count AS members
    FROM broadcast_chunks
    WHERE look_at <= now()
    ORDER BY look_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), seen AS (
    SELECT d.*,
           EXISTS (SELECT FROM open_deliveries o WHERE o.global_id >= d.first_id AND o.global_id <= d.last_id) AS has_open,
           EXISTS (SELECT FROM open_deliveries o WHERE o.global_id >= d.first_id AND o.global_id <= d.last_id AND o.due_at <= now()) AS has_due
    FROM due d
), counted AS (
    SELECT s.broadcast_id, s.chunk, t.tally
    FROM seen s
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(m.status, m.members) AS tally, sum(m.members) AS members
        FROM (SELECT p.status, count(*) AS members
              FROM (SELECT ($2::text[])[max(array_position($2::text[], n.status))] AS status
                    FROM notifications n
                    WHERE n.global_id >= s.first_id AND n.global_id <= s.last_id AND n.created_at = s.accepted_at
                    GROUP BY n.notification_id OFFSET 0) p
              GROUP BY p.status) m
    ) t
    WHERE NOT s.has_open AND t.members = s.members
)
UPDATE broadcast_chunks c
SET state = CASE WHEN n.tally IS NULL THEN c.state ELSE 'settled' END,
    tally = coalesce(n.tally, c.tally),
    names = CASE WHEN n.tally IS NULL THEN c.names ELSE '{}' END,
    drained = NOT s.has_due,
    look_at = CASE WHEN s.has_open THEN now() + least(greatest((now() - s.accepted_at) / 8, interval '50 ms'), interval '30 seconds')
                   WHEN s.accepted_at < now() - interval '4 days' THEN NULL
                   ELSE now() + greatest(now() - s.accepted_at, interval '1 minute') END
FROM seen s
LEFT JOIN counted n USING (broadcast_id, chunk)
WHERE c.broadcast_id = s.broadcast_id AND c.chunk = s.chunk
RETURNING c.state

-- name: settle_rehearsed
-- A chunk that was examined, and would come to this.
UPDATE broadcast_chunks
SET state = 'settled', drained = true, forecast = $3, refused_count = $4, refused = $5, rules = $6, names = '{}'
WHERE broadcast_id = $1 AND chunk = $2 AND state = 'ready'
RETURNING true

-- name: refuse_chunk
-- A chunk that can never be accepted: its members are refused, and the broadcast goes on.
UPDATE broadcast_chunks
SET state = 'settled', drained = true, refused_count = size, refused = jsonb_build_object($3::text, size), names = '{}'
WHERE broadcast_id = $1 AND chunk = $2 AND state = 'ready'

-- name: complete_broadcasts
-- Broadcasts whose every chunk is settled have come to their end.
UPDATE broadcasts b
SET stage = 'completed', ended_at = now()
WHERE b.stage = 'sending' AND b.paced_until <= now()
  AND NOT EXISTS (SELECT FROM broadcast_chunks c WHERE c.broadcast_id = b.broadcast_id AND c.state = 'ready')
  AND NOT EXISTS (SELECT FROM broadcast_chunks c WHERE c.broadcast_id = b.broadcast_id AND c.state = 'accepted')
RETURNING b.broadcast_id

-- name: drop_ready
-- Of a cancelled broadcast: what was not accepted is accepted no more.
UPDATE broadcast_chunks SET state = 'dropped', names = '{}' WHERE broadcast_id = $1 AND state = 'ready'

-- name: cancel_chains
-- Of a cancelled broadcast: no member is told on a further channel, whatever became of her on the first.
UPDATE fallbacks f SET state = 'cancelled', due_at = NULL
FROM broadcast_chunks c
WHERE c.broadcast_id = $1 AND c.first_id IS NOT NULL AND f.due_at IS NOT NULL
  AND f.notification_id >= c.first_id AND f.notification_id <= c.last_id

-- name: accepted_chunks
-- The id ranges of chunks that may have something open, a page of them.
SELECT chunk, first_id, last_id, accepted_at
FROM broadcast_chunks
WHERE broadcast_id = $1 AND state = 'accepted' AND chunk > $2
ORDER BY chunk
LIMIT $3

-- name: close_ready_range
-- Take deliveries of a chunk that nobody is sending out of the open ones: from here on no worker can begin them.
DELETE FROM open_deliveries
WHERE tenant_id = $1 AND global_id >= $2 AND global_id <= $3 AND state = 'ready'
RETURNING global_id, channel, priority, due_at
