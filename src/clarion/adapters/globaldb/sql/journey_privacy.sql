-- name: wipe_runs
-- What a user's ended runs say of her: where they stood and what happened. The rows stay, for the counts. $3: a progress without anything.
WITH wiped AS (
    UPDATE journey_instances SET progress = $3, step = '', context_version = 0, reason = 'erased'
    WHERE tenant_id = $1 AND user_id = $2 AND status <> 'active' AND progress <> $3
    RETURNING 1
)
SELECT count(*) FROM wiped

-- name: page_runs_of_user
-- A user's runs with the names of their journeys, by id.
SELECT i.instance_id, j.name, i.version, i.status, i.step, i.entered_ms, i.ended_ms, i.reason, i.is_test, i.progress
FROM journey_instances i LEFT JOIN journeys j ON j.journey_id = i.journey_id
WHERE i.tenant_id = $1 AND i.user_id = $2 AND i.instance_id > $3 ORDER BY i.instance_id LIMIT $4

-- name: drop_old_runs
-- Runs that ended before $3, some at once, but each user's last one of a journey: rules of re-entry ask for it. $2: no run is older than its id.
WITH old AS (
    SELECT instance_id FROM journey_instances i
    WHERE i.region = $1 AND i.instance_id < $2 AND i.status <> 'active' AND i.ended_ms < $3
      AND EXISTS (SELECT 1 FROM journey_instances later WHERE later.tenant_id = i.tenant_id AND later.user_id = i.user_id
                  AND later.journey_id = i.journey_id AND later.instance_id > i.instance_id)
    ORDER BY i.instance_id LIMIT $4
), gone AS (
    DELETE FROM journey_instances WHERE instance_id IN (SELECT instance_id FROM old) RETURNING 1
)
SELECT count(*) FROM gone

-- name: wipe_old_runs
-- What the others among them say of what happened. $5: a progress without anything.
WITH old AS (
    SELECT instance_id FROM journey_instances
    WHERE region = $1 AND instance_id < $2 AND status <> 'active' AND ended_ms < $3 AND progress <> $5
    ORDER BY instance_id LIMIT $4
), wiped AS (
    UPDATE journey_instances SET progress = $5, step = '', context_version = 0
    WHERE instance_id IN (SELECT instance_id FROM old) RETURNING 1
)
SELECT count(*) FROM wiped

-- name: count_active
-- Active runs of a region.
SELECT count(*) FROM journey_instances WHERE region = $1 AND status = 'active'
