-- name: create_migration
-- A migration, unless another one of the journey is under way.
INSERT INTO journey_migrations (migration_id, tenant_id, journey_id, from_version, to_version, plan, status, percent, created_ms, updated_ms)
SELECT $1, $2, $3, $4, $5, $6, 'running', $7, $8, $8
WHERE NOT EXISTS (SELECT 1 FROM journey_migrations WHERE journey_id = $3 AND status IN ('running', 'rolling_back'))
RETURNING migration_id

-- name: list_migrations
-- A journey's migrations, newest first.
SELECT migration_id, tenant_id, journey_id, from_version, to_version, plan, status, percent, moved, left_alone, created_ms, updated_ms
FROM journey_migrations WHERE tenant_id = $1 AND journey_id = $2 ORDER BY migration_id DESC LIMIT 100

-- name: find_migration
-- One migration of a journey.
SELECT migration_id, tenant_id, journey_id, from_version, to_version, plan, status, percent, moved, left_alone, created_ms, updated_ms
FROM journey_migrations WHERE tenant_id = $1 AND journey_id = $2 AND migration_id = $3

-- name: under_way
-- Migrations that are to be carried out, oldest first.
SELECT migration_id, tenant_id, journey_id, from_version, to_version, plan, status, percent, moved, left_alone, created_ms, updated_ms
FROM journey_migrations WHERE status IN ('running', 'rolling_back') ORDER BY migration_id LIMIT 20

-- name: roll_back
-- Have a migration taken back, unless another one of the journey is under way.
UPDATE journey_migrations SET status = 'rolling_back', updated_ms = $3
WHERE migration_id = $1 AND status IN ('running', 'done') AND NOT EXISTS (
    SELECT 1 FROM journey_migrations o WHERE o.journey_id = $2 AND o.migration_id <> $1 AND o.status IN ('running', 'rolling_back'))
RETURNING migration_id

-- name: count_moved
-- Add to the runs that a migration moved.
UPDATE journey_migrations SET moved = moved + $2, updated_ms = $3 WHERE migration_id = $1

-- name: finish
-- Close a migration that somebody has not given another turn meanwhile.
UPDATE journey_migrations SET status = $3, left_alone = $4, updated_ms = $5 WHERE migration_id = $1 AND status = $2

-- name: page_version
-- A version's active runs, by id.
SELECT instance_id, tenant_id, journey_id, version, user_id, region, is_test, status, seq, step, due_ms, progress, context_version,
       entered_ms, ended_ms, reason
FROM journey_instances
WHERE journey_id = $1 AND version = $2 AND status = 'active' AND instance_id > $3 ORDER BY instance_id LIMIT $4

-- name: keep_moves
-- What takes runs back. Written before they are moved: a row of a run that was not moved says nothing.
INSERT INTO journey_moves (migration_id, instance_id, undo)
SELECT $1, t.instance_id, t.undo FROM unnest($2::UUID[], $3::BYTEA[]) AS t (instance_id, undo)
ON CONFLICT (migration_id, instance_id) DO UPDATE SET undo = excluded.undo

-- name: read_moves
-- What takes these runs back.
SELECT instance_id, undo FROM journey_moves WHERE migration_id = $1 AND instance_id = ANY($2::UUID[])
