-- name: register_tenant
-- Take a name, once in the world. Of two at once one wins; the other finds its row with find_tenant.
INSERT INTO tenants (tenant_id, name, home_region) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING

-- name: find_tenant
-- Who has this name.
SELECT tenant_id, home_region FROM tenants WHERE name = $1

-- name: release_tenant
-- The name is free again.
DELETE FROM tenants WHERE tenant_id = $1

-- name: forget_accounts
-- How its accounts did, in whatever region.
DELETE FROM provider_health WHERE tenant_id = $1

-- name: forget_runs
-- Runs of its journeys, some at once: how many.
WITH found AS (
    SELECT instance_id FROM journey_instances WHERE tenant_id = $1 LIMIT $2
), gone AS (
    DELETE FROM journey_instances WHERE instance_id IN (SELECT instance_id FROM found) RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget_counts
-- What was counted at the steps of its journeys, some at once: how many.
WITH found AS (
    SELECT journey_id, version, day, step, what FROM journey_counts WHERE tenant_id = $1 LIMIT $2
), gone AS (
    DELETE FROM journey_counts WHERE tenant_id = $1
        AND (journey_id, version, day, step, what) IN (SELECT journey_id, version, day, step, what FROM found) RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget_moves
-- What was noted of runs that were moved to other versions.
DELETE FROM journey_moves WHERE migration_id IN (SELECT migration_id FROM journey_migrations WHERE tenant_id = $1)

-- name: forget_migrations
-- Its moves of runs to other versions.
DELETE FROM journey_migrations WHERE tenant_id = $1

-- name: forget_cursors
-- How far its schedules were worked off.
DELETE FROM journey_cursors WHERE journey_id IN (SELECT journey_id FROM journeys WHERE tenant_id = $1)

-- name: forget_versions
-- What its journeys said.
DELETE FROM journey_versions WHERE tenant_id = $1

-- name: forget_journeys
-- Its journeys.
DELETE FROM journeys WHERE tenant_id = $1
