-- name: bump_config
-- Locks the tenant, so that two saves at once get two numbers.
UPDATE tenant_settings SET config_version = config_version + 1 WHERE tenant_id = $1 RETURNING true

-- name: latest_is
-- The latest version's number, and whether it says exactly this.
SELECT version, category = $3 AND content = $4::jsonb AS same FROM templates
WHERE tenant_id = $1 AND name = $2 ORDER BY version DESC LIMIT 1

-- name: insert_template
-- The next version.
INSERT INTO templates (tenant_id, name, version, category, content, channels, uses_context)
SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6 FROM templates WHERE tenant_id = $1 AND name = $2
RETURNING version

-- name: read_template
-- One version ($2), or the latest (NULL); row-level security keeps it to the tenant of the transaction.
SELECT name, version, content, channels, uses_context FROM templates
WHERE name = $1 AND version = coalesce($2::int, version) ORDER BY version DESC LIMIT 1

-- name: list_versions
-- A template's versions, without their content; row-level security keeps them to the tenant of the transaction.
SELECT version, created_at FROM templates WHERE name = $1 ORDER BY version DESC

-- name: list_templates
-- The latest version of each; row-level security keeps them to the tenant of the transaction.
SELECT DISTINCT ON (name) name, version, content, channels, uses_context FROM templates ORDER BY name, version DESC

-- name: fetch_templates
-- The versions that a batch of deliveries was accepted with.
SELECT t.tenant_id, t.name, t.version, t.content, t.channels, t.uses_context
FROM unnest($1::uuid[], $2::text[], $3::int[]) AS wanted (tenant_id, name, version)
JOIN templates t USING (tenant_id, name, version)
