-- name: bump_config
-- Locks the tenant, so that two saves at once get two numbers.
UPDATE tenant_settings SET config_version = config_version + 1 WHERE tenant_id = $1 RETURNING true

-- name: compare_saved
-- The latest and the live version, each with whether it says exactly this, of the same partials. Runs under the tenant's lock.
WITH latest AS (
    SELECT version, content, resolved FROM templates WHERE tenant_id = $1 AND name = $2 ORDER BY version DESC LIMIT 1
), live AS (
    SELECT version, content, resolved FROM templates WHERE tenant_id = $1 AND name = $2 AND live_at IS NOT NULL
    ORDER BY live_at DESC, version DESC LIMIT 1
)
SELECT latest.version AS latest, latest.content = $3::jsonb AND latest.resolved = $4::jsonb AS latest_same,
       live.version AS live, live.content = $3::jsonb AND live.resolved = $4::jsonb AS live_same
FROM latest LEFT JOIN live ON true

-- name: lock_tenant
-- Keeps others from saving and promoting for as long as the transaction lasts. Nothing where there is no such tenant.
SELECT true FROM tenant_settings WHERE tenant_id = $1 FOR UPDATE

-- name: insert_template
-- The next version, not live yet.
INSERT INTO templates (tenant_id, name, version, category, content, channels, uses_context, has_schema, created_by,
                       resolved, partials, uses_links, live_at)
SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL FROM templates WHERE tenant_id = $1 AND name = $2
RETURNING version

-- name: promote
-- Make a version ($3) the live one in place of another ($4), and write down who did it. Nothing where there is no such version.
WITH promoted AS (
    UPDATE templates SET live_at = clock_timestamp() WHERE tenant_id = $1 AND name = $2 AND version = $3
    RETURNING tenant_id, name, version, live_at
)
INSERT INTO template_promotions (tenant_id, name, version, previous, promoted_at, promoted_by)
SELECT tenant_id, name, version, $4, live_at, $5 FROM promoted
RETURNING promoted_at

-- name: live_version
-- The live version's number; nothing where none is.
SELECT version FROM templates WHERE tenant_id = $1 AND name = $2 AND live_at IS NOT NULL
ORDER BY live_at DESC, version DESC LIMIT 1

-- name: is_there
-- Whether there is such a version.
SELECT true FROM templates WHERE tenant_id = $1 AND name = $2 AND version = $3

-- name: read_template
-- One version ($2), or the latest (NULL); row-level security keeps it to the tenant of the transaction.
SELECT name, version, content, channels, uses_context, uses_links, resolved FROM templates
WHERE name = $1 AND version = coalesce($2::int, version) ORDER BY version DESC LIMIT 1

-- name: read_live_template
-- The live version; row-level security keeps it to the tenant of the transaction.
SELECT name, version, content, channels, uses_context, uses_links, resolved FROM templates
WHERE name = $1 AND live_at IS NOT NULL ORDER BY live_at DESC, version DESC LIMIT 1

-- name: list_versions
-- A template's versions before one ($2), newest first, without their content; row-level security keeps them to the tenant.
SELECT t.version, t.category, t.channels, t.has_schema, t.created_at, t.created_by,
       t.version = (SELECT version FROM templates WHERE name = $1 AND live_at IS NOT NULL
                    ORDER BY live_at DESC, version DESC LIMIT 1) AS is_live
FROM templates t WHERE t.name = $1 AND t.version < $2 ORDER BY t.version DESC LIMIT $3

-- name: list_promotions
-- The last changes of what is live, newest first; row-level security keeps them to the tenant of the transaction.
SELECT version, previous, promoted_at, promoted_by FROM template_promotions WHERE name = $1 ORDER BY number DESC LIMIT $2

-- name: list_templates
-- The latest version of each without its content, and which is live; row-level security keeps them to the tenant.
SELECT latest.name, latest.version, latest.category, latest.channels, latest.has_schema, live.version AS live
FROM (SELECT DISTINCT ON (name) name, version, category, channels, has_schema FROM templates ORDER BY name, version DESC) AS latest
LEFT JOIN (SELECT DISTINCT ON (name) name, version FROM templates WHERE live_at IS NOT NULL
           ORDER BY name, live_at DESC, version DESC) AS live USING (name)
ORDER BY latest.name

-- name: fetch_templates
-- The versions that a batch of deliveries was accepted with.
SELECT t.tenant_id, t.name, t.version, t.content, t.channels, t.uses_context, t.uses_links, t.resolved
FROM unnest($1::uuid[], $2::text[], $3::int[]) AS wanted (tenant_id, name, version)
JOIN templates t USING (tenant_id, name, version)

-- name: latest_partials
-- The latest versions of some partials, without their content. Runs under the tenant's lock.
SELECT name, max(version) AS version FROM partials WHERE tenant_id = $1 AND name = ANY ($2::text[]) GROUP BY name

-- name: live_names_with_partial
-- The templates whose live version a partial ($2) was put into in another version than $3. Runs under the tenant's lock.
SELECT name FROM (
    SELECT DISTINCT ON (name) name, partials, resolved FROM templates
    WHERE tenant_id = $1 AND live_at IS NOT NULL ORDER BY name, live_at DESC, version DESC
) AS live WHERE $2 = ANY (partials) AND (resolved -> 'partials' ->> $2)::int <> $3

-- name: live_with_partial
-- The live versions that a partial was put into; row-level security keeps them to the tenant of the transaction.
SELECT * FROM (
    SELECT DISTINCT ON (name) name, version, content, channels, uses_context, uses_links, resolved, partials FROM templates
    WHERE live_at IS NOT NULL ORDER BY name, live_at DESC, version DESC
) AS live WHERE $1 = ANY (partials) ORDER BY name
