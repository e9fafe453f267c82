-- name: put
-- How a tenant's decisions learn ($2), and a new version of the configuration. What was chosen before is kept, with who replaced it ($4).
-- Nothing where there is no such tenant, or where its settings are not those of version $3 (null: whichever).
WITH old AS (
    SELECT ml, ml_version FROM tenant_settings WHERE tenant_id = $1 AND ($3::int IS NULL OR ml_version = $3) FOR UPDATE
), kept AS (
    INSERT INTO ml_settings_history (tenant_id, version, settings, replaced_by) SELECT $1, ml_version, ml, $4 FROM old
)
UPDATE tenant_settings s SET ml = $2, ml_version = s.ml_version + 1, config_version = s.config_version + 1
FROM old WHERE s.tenant_id = $1 AND s.ml_version = old.ml_version
RETURNING s.ml_version

-- name: current
-- The settings as they are, and which writing of them it is.
SELECT ml, ml_version FROM tenant_settings WHERE tenant_id = $1

-- name: history
-- The settings from before, latest first.
SELECT version, settings, replaced_at, replaced_by FROM ml_settings_history WHERE tenant_id = $1 ORDER BY version DESC LIMIT $2
