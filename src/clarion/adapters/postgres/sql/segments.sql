-- name: put_segment
-- A segment as it was said last. Another expression is another segment: what was counted and kept of the one before is gone.
WITH old AS (
    SELECT segment_id, expression FROM segments WHERE tenant_id = $1 AND name = $2 FOR UPDATE
), forgotten AS (
    DELETE FROM segment_members m USING old WHERE m.segment_id = old.segment_id AND old.expression <> $3
)
INSERT INTO segments AS s (tenant_id, name, expression, description) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, name) DO UPDATE
SET expression = excluded.expression, description = excluded.description, updated_at = now(),
    version = s.version + (s.expression <> excluded.expression)::int,
    members = CASE WHEN s.expression = excluded.expression THEN s.members END,
    counted_at = CASE WHEN s.expression = excluded.expression THEN s.counted_at END,
    wanted_at = CASE WHEN s.expression = excluded.expression THEN s.wanted_at END,
    leased_until = CASE WHEN s.expression = excluded.expression THEN s.leased_until END,
    taking = CASE WHEN s.expression = excluded.expression THEN s.taking ELSE 0 END,
    snapshot = CASE WHEN s.expression = excluded.expression THEN s.snapshot ELSE 0 END,
    snapshot_at = CASE WHEN s.expression = excluded.expression THEN s.snapshot_at END,
    examined = CASE WHEN s.expression = excluded.expression THEN s.examined ELSE 0 END,
    candidates = CASE WHEN s.expression = excluded.expression THEN s.candidates ELSE 0 END
RETURNING segment_id, name, expression, description, version, members, counted_at, wanted_at, examined, candidates, snapshot_at,
          created_at, updated_at

-- name: find_segment
-- Row-level security keeps it to the tenant of the transaction, as below.
SELECT segment_id, name, expression, description, version, members, counted_at, wanted_at, examined, candidates, snapshot_at,
       created_at, updated_at
FROM segments WHERE name = $1

-- name: list_segments
SELECT segment_id, name, expression, description, version, members, counted_at, wanted_at, examined, candidates, snapshot_at,
       created_at, updated_at
FROM segments WHERE name > $1 ORDER BY name LIMIT $2

-- name: page_snapshot
-- Members of the last finished snapshot who are still users.
SELECT p.user_id, p.external_id, p.timezone
FROM segments s
JOIN segment_members m ON m.segment_id = s.segment_id AND m.snapshot = s.snapshot
JOIN user_profiles p ON p.user_id = m.user_id
WHERE s.segment_id = $1 AND m.user_id > $2
ORDER BY m.user_id LIMIT $3

-- name: delete_segment
-- The segment with its members.
WITH gone AS (DELETE FROM segments WHERE tenant_id = $1 AND name = $2 RETURNING segment_id),
     left_it AS (DELETE FROM segment_members m USING gone WHERE m.segment_id = gone.segment_id)
SELECT count(*) = 1 FROM gone

-- name: note_count
-- A count of this version of the expression.
UPDATE segments SET members = $3, counted_at = now() WHERE segment_id = $1 AND version = $2 RETURNING counted_at

-- name: want_snapshot
-- Who asks first waits longest.
UPDATE segments SET wanted_at = coalesce(wanted_at, now()) WHERE tenant_id = $1 AND name = $2

-- name: take_snapshot
-- The membership that somebody has waited for longest and that nobody is keeping. Its attempt's number is the instant, or else the next.
UPDATE segments
SET taking = greatest(taking, snapshot, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + 1,
    leased_until = now() + $1::float8 * interval '1 second', examined = 0, candidates = 0
WHERE segment_id = (
    SELECT segment_id FROM segments WHERE wanted_at IS NOT NULL AND (leased_until IS NULL OR leased_until < now())
    ORDER BY wanted_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING segment_id, tenant_id, name, expression, taking AS snapshot, now() AS as_of

-- name: drop_other_snapshots
-- What attempts left that came to nothing ($2: those that stay).
DELETE FROM segment_members WHERE segment_id = $1 AND snapshot <> ALL($2::bigint[])

-- name: kept_snapshot
SELECT snapshot FROM segments WHERE segment_id = $1

-- name: add_members
-- More of an attempt's members; nothing where it is no longer the one under way.
INSERT INTO segment_members (segment_id, snapshot, user_id, tenant_id)
SELECT s.segment_id, s.taking, u, s.tenant_id
FROM segments s, unnest($3::bigint[]) AS u
WHERE s.segment_id = $1 AND s.taking = $2
ON CONFLICT DO NOTHING

-- name: report_snapshot
-- How far an attempt is; false where it is no longer the one under way.
UPDATE segments SET examined = $3, candidates = $4, leased_until = now() + $5::float8 * interval '1 second'
WHERE segment_id = $1 AND taking = $2 RETURNING true

-- name: finish_snapshot
-- The attempt is the membership now. Who asked after it was begun ($3) is still waiting.
UPDATE segments
SET snapshot = $2, snapshot_at = $3, counted_at = $3,
    members = (SELECT count(*) FROM segment_members m WHERE m.segment_id = $1 AND m.snapshot = $2),
    wanted_at = CASE WHEN wanted_at > $3 THEN wanted_at END, leased_until = NULL, taking = 0, examined = 0, candidates = 0
WHERE segment_id = $1 AND taking = $2
RETURNING members
