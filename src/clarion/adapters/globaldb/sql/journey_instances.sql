-- name: enter_runs
-- New runs, but for those that the journey's policy forbids, and whom a key or a slot stops.
INSERT INTO journey_instances (instance_id, tenant_id, journey_id, version, user_id, region, is_test, entry_key, slot, status, seq, step,
                               due_ms, progress, context_version, entered_ms)
SELECT t.instance_id, t.tenant_id, t.journey_id, t.version, t.user_id, t.region, t.is_test, t.entry_key, t.slot, 'active', 0, t.step,
       t.due_ms, t.progress, t.context_version, t.entered_ms
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::INT4[], $5::INT8[], $6::TEXT[], $7::BOOL[], $8::BYTEA[], $9::BYTEA[], $10::TEXT[],
            $11::INT8[], $12::BYTEA[], $13::INT8[], $14::INT8[], $15::BOOL[], $16::INT8[])
     AS t (instance_id, tenant_id, journey_id, version, user_id, region, is_test, entry_key, slot, step,
           due_ms, progress, context_version, entered_ms, once, not_since_ms)
WHERE NOT EXISTS (SELECT 1 FROM journey_instances i
                  WHERE i.tenant_id = t.tenant_id AND i.journey_id = t.journey_id AND i.user_id = t.user_id
                    AND ((t.once AND i.is_test = t.is_test) OR (t.not_since_ms > 0 AND i.entered_ms > t.not_since_ms)))
ON CONFLICT DO NOTHING
RETURNING instance_id

-- name: find_entries
-- What stands for entries that began no run: the run of the same key, else the active one of the slot.
SELECT t.n, k.instance_id AS repeated, s.instance_id AS present
FROM unnest($1::UUID[], $2::UUID[], $3::INT8[], $4::BYTEA[], $5::BYTEA[]) WITH ORDINALITY AS t (tenant_id, journey_id, user_id, entry_key, slot, n)
LEFT JOIN journey_instances k ON k.tenant_id = t.tenant_id AND k.journey_id = t.journey_id AND k.user_id = t.user_id AND k.entry_key = t.entry_key
LEFT JOIN journey_instances s ON s.tenant_id = t.tenant_id AND s.journey_id = t.journey_id AND s.user_id = t.user_id AND s.slot = t.slot
     AND s.status = 'active'

-- name: load_runs
-- Runs by id.
SELECT instance_id, tenant_id, journey_id, version, user_id, region, is_test, status, seq, step, due_ms, progress, context_version,
       entered_ms, ended_ms, reason
FROM journey_instances WHERE instance_id = ANY($1::UUID[])

-- name: active_runs
-- All active runs of some users of a tenant.
SELECT instance_id, tenant_id, journey_id, version, user_id, region, is_test, status, seq, step, due_ms, progress, context_version,
       entered_ms, ended_ms, reason
FROM journey_instances WHERE tenant_id = $1 AND user_id = ANY($2::INT8[]) AND status = 'active'

-- name: page_active
-- A region's active runs by id.
SELECT instance_id, due_ms, seq FROM journey_instances
WHERE region = $1 AND status = 'active' AND instance_id > $2 ORDER BY instance_id LIMIT $3

-- name: move_runs
-- Transitions of runs that still stand where they were read. One statement: READ COMMITTED is enough for a compare-and-set.
UPDATE journey_instances AS i
SET version = t.version, status = t.status, seq = t.seq, step = t.step, due_ms = t.due_ms, progress = t.progress,
    context_version = t.context_version, ended_ms = t.ended_ms, reason = t.reason
FROM unnest($1::UUID[], $2::INT4[], $3::TEXT[], $4::INT4[], $5::TEXT[], $6::INT8[], $7::BYTEA[], $8::INT8[], $9::INT8[], $10::TEXT[])
     AS t (instance_id, version, status, seq, step, due_ms, progress, context_version, ended_ms, reason)
WHERE i.instance_id = t.instance_id AND i.seq = t.seq - 1
RETURNING i.instance_id

-- name: tell
-- The events of a batch, as one row, and what they add to the counts. In one order everywhere: two batches never wait in a circle.
WITH counted AS (
    INSERT INTO journey_counts AS c (tenant_id, journey_id, version, day, step, what, n, took_ms)
    SELECT * FROM unnest($1::UUID[], $2::UUID[], $3::INT4[], $4::INT4[], $5::TEXT[], $6::TEXT[], $7::INT8[], $8::INT8[])
    ON CONFLICT (tenant_id, journey_id, version, day, step, what) DO UPDATE
    SET n = c.n + excluded.n, took_ms = c.took_ms + excluded.took_ms
    RETURNING 1
)
INSERT INTO journey_outbox (outbox_id, region, events, payload) VALUES ($9, $10, $11, $12)

-- name: find_run
-- A tenant's run of a journey.
SELECT instance_id, tenant_id, journey_id, version, user_id, region, is_test, status, seq, step, due_ms, progress, context_version,
       entered_ms, ended_ms, reason
FROM journey_instances WHERE instance_id = $1 AND tenant_id = $2 AND journey_id = $3

-- name: page_runs
-- Runs of a journey, newest first. $4 to $6 are wishes: a user's number (0: any), a status, a step ('': any).
SELECT instance_id, tenant_id, journey_id, version, user_id, region, is_test, status, seq, step, due_ms, progress, context_version,
       entered_ms, ended_ms, reason
FROM journey_instances
WHERE tenant_id = $1 AND journey_id = $2 AND instance_id < $3 AND ($4::INT8 = 0 OR user_id = $4) AND ($5 = '' OR status = $5)
  AND ($6 = '' OR step = $6)
ORDER BY instance_id DESC LIMIT $7

-- name: count_standing
-- How many active runs stand at each step, by version.
SELECT version, step, count(*) AS runs FROM journey_instances
WHERE tenant_id = $1 AND journey_id = $2 AND status = 'active' AND ($3::BOOL IS NULL OR is_test = $3)
GROUP BY version, step ORDER BY version, step

-- name: page_active_of_journey
-- A journey's active runs by id.
SELECT instance_id, due_ms, seq FROM journey_instances
WHERE journey_id = $1 AND status = 'active' AND instance_id > $2 ORDER BY instance_id LIMIT $3

-- name: read_counts
-- What happened at a journey's steps between two days (numbers of days since 1970), by version.
SELECT version, step, what, sum(n)::INT8 AS n, sum(took_ms)::INT8 AS took_ms FROM journey_counts
WHERE tenant_id = $1 AND journey_id = $2 AND day BETWEEN $3 AND $4 GROUP BY version, step, what ORDER BY version, step, what
