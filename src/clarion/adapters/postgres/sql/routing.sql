-- name: put_policy
-- A channel's policy as it shall be, and a new version of the configuration. Nothing where there is no such tenant.
UPDATE tenant_settings SET routing = routing || jsonb_build_object($2::text, $3::jsonb), config_version = config_version + 1
WHERE tenant_id = $1
RETURNING config_version
