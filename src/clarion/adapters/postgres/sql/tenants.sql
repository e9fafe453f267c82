-- name: insert_tenant
-- A tenant's first day. Nothing where it is there.
INSERT INTO tenant_settings (tenant_id, name, timezone, country, quiet_hours, rate_per_s, rate_burst)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id) DO NOTHING
RETURNING true

-- name: insert_categories
-- The categories that it starts with.
INSERT INTO categories (tenant_id, name, class, ttl_s, on_ambiguity, caps, channels, max_channels, tracking, fallback, words)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::int[], $5::text[], $6::jsonb[], $7::smallint[], $8::smallint[], $9::smallint[], $10::jsonb[],
                         $11::jsonb[])

-- name: insert_providers
-- The providers that it starts with; they need no credentials.
INSERT INTO providers (tenant_id, name, kind, channel) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[])

-- name: put_category
-- A category as it shall be, and a new version of the configuration. Nothing where there is no such tenant.
WITH bumped AS (
    UPDATE tenant_settings SET config_version = config_version + 1 WHERE tenant_id = $1 RETURNING tenant_id, config_version
), written AS (
    INSERT INTO categories (tenant_id, name, class, ttl_s, on_ambiguity, caps, channels, max_channels, tracking, fallback, words)
    SELECT tenant_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM bumped
    ON CONFLICT (tenant_id, name) DO UPDATE
    SET class = excluded.class, ttl_s = excluded.ttl_s, on_ambiguity = excluded.on_ambiguity, caps = excluded.caps,
        channels = excluded.channels, max_channels = excluded.max_channels, tracking = excluded.tracking,
        fallback = excluded.fallback, words = excluded.words
)
SELECT config_version FROM bumped

-- name: put_quota
-- How many notifications a tenant may have accepted in a day (NULL: any number). Nothing where there is no such tenant.
UPDATE tenant_settings SET daily_quota = $2, config_version = config_version + 1 WHERE tenant_id = $1 RETURNING config_version

-- name: put_spending
-- What a tenant may spend, and a new version of the configuration. Nothing where there is no such tenant.
UPDATE tenant_settings SET spending = $2, config_version = config_version + 1 WHERE tenant_id = $1 RETURNING config_version

-- name: put_links
-- How a tenant's links behave, and a new version of the configuration. Nothing where there is no such tenant.
UPDATE tenant_settings SET tracking = $2, public_url = $3, config_version = config_version + 1 WHERE tenant_id = $1
RETURNING config_version

-- name: put_language
-- In which language a tenant speaks by default, and a new version of the configuration. Nothing where there is no such tenant.
UPDATE tenant_settings SET language = $2, config_version = config_version + 1 WHERE tenant_id = $1
RETURNING config_version

-- name: put_compliance
-- How a tenant complies where it may choose, and a new version of the configuration. Nothing where there is no such tenant.
UPDATE tenant_settings SET compliance = $2, config_version = config_version + 1 WHERE tenant_id = $1 RETURNING config_version

-- name: put_provider
-- A provider's account as it shall be; its own version moves too, so that connections to the old one are closed.
WITH bumped AS (
    UPDATE tenant_settings SET config_version = config_version + 1 WHERE tenant_id = $1 RETURNING tenant_id, config_version
), written AS (
    INSERT INTO providers (tenant_id, name, kind, channel, settings, credentials, cost, weight, enabled, quota, regions)
    SELECT tenant_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM bumped
    ON CONFLICT (tenant_id, name) DO UPDATE
    SET kind = excluded.kind, channel = excluded.channel, settings = excluded.settings, credentials = excluded.credentials,
        cost = excluded.cost, weight = excluded.weight, enabled = excluded.enabled, quota = excluded.quota,
        regions = excluded.regions, version = providers.version + 1
)
SELECT config_version FROM bumped

-- name: delete_provider
-- The version moves only where there was something to delete.
WITH gone AS (DELETE FROM providers WHERE tenant_id = $1 AND name = $2 RETURNING tenant_id)
UPDATE tenant_settings s SET config_version = config_version + 1 FROM gone WHERE s.tenant_id = gone.tenant_id RETURNING true

-- name: load_config
-- All that a tenant set, in one round trip and as of one instant. Of templates the live version, without content.
SELECT s.name, s.timezone, s.country, s.quiet_hours, s.rate_per_s, s.rate_burst, s.daily_quota, s.tracking, s.public_url, s.language, s.spending, s.routing,
       s.compliance, s.ml, s.config_version, e.experiment_id, e.plan -> 'arms' AS arms,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(c.name, c.class, c.ttl_s, c.on_ambiguity, c.caps, c.channels, c.max_channels,
                                                    c.tracking, c.fallback, c.words)
                                  ORDER BY c.name), '[]')
        FROM categories c WHERE c.tenant_id = s.tenant_id) AS categories,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(t.name, t.version, t.category, t.channels, t.has_schema)), '[]')
        FROM (SELECT DISTINCT ON (name) name, version, category, channels, has_schema FROM templates
              WHERE tenant_id = s.tenant_id AND live_at IS NOT NULL ORDER BY name, live_at DESC, version DESC) AS t) AS templates,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(p.name, p.kind, p.channel, p.settings, encode(p.credentials, 'base64'), p.cost,
                                                    p.weight, p.enabled, p.version, p.quota, p.regions) ORDER BY p.name), '[]')
        FROM providers p WHERE p.tenant_id = s.tenant_id) AS providers
FROM tenant_settings s LEFT JOIN ml_experiments e ON e.tenant_id = s.tenant_id AND e.stopped_at IS NULL
WHERE s.tenant_id = $1

-- name: config_version
-- Whether what is cached of this tenant still holds.
SELECT config_version FROM tenant_settings WHERE tenant_id = $1

-- name: list_tenants
-- The tenants of this region by name: for operators only.
SELECT tenant_id, name FROM tenant_settings ORDER BY name
