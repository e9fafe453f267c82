-- name: put
-- How a tenant's decisions learn, and a new version of the configuration. Nothing where there is no such tenant.
UPDATE tenant_settings SET ml = $2, config_version = config_version + 1 WHERE tenant_id = $1 RETURNING config_version
