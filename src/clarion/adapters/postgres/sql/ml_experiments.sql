-- name: create
-- An experiment, and a new version of the configuration. A second one that runs is a conflict; nothing where there is no such tenant.
WITH bumped AS (
    UPDATE tenant_settings SET config_version = config_version + 1 WHERE tenant_id = $1 RETURNING tenant_id
)
INSERT INTO ml_experiments (tenant_id, experiment_id, name, plan) SELECT tenant_id, $2, $3, $4 FROM bumped

-- name: list
-- A tenant's experiments, the latest first.
SELECT experiment_id, name, plan, started_at, stopped_at, measured_at, result FROM ml_experiments
WHERE tenant_id = $1 ORDER BY started_at DESC, experiment_id LIMIT $2

-- name: fetch
-- One of them.
SELECT experiment_id, name, plan, started_at, stopped_at, measured_at, result FROM ml_experiments
WHERE tenant_id = $1 AND experiment_id = $2

-- name: stop
-- From now on everybody is treated alike. Of one that has ended nothing changes.
WITH ended AS (
    UPDATE ml_experiments SET stopped_at = clock_timestamp()
    WHERE tenant_id = $1 AND experiment_id = $2 AND stopped_at IS NULL RETURNING tenant_id
)
UPDATE tenant_settings s SET config_version = s.config_version + 1 FROM ended WHERE s.tenant_id = ended.tenant_id

-- name: unsettled
-- Experiments of a tenant whose result may change yet: answers come for some days ($3 ms) after the end.
SELECT experiment_id, name, plan, started_at, stopped_at, measured_at, result FROM ml_experiments
WHERE tenant_id = $1 AND (stopped_at IS NULL OR coalesce(measured_at, started_at) < stopped_at + $3::bigint * interval '1 ms')
ORDER BY started_at DESC LIMIT $2

-- name: keep
-- What was measured last, at $4.
UPDATE ml_experiments SET result = $3, measured_at = $4 WHERE tenant_id = $1 AND experiment_id = $2
