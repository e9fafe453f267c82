-- name: read_partial
-- One version ($2), or the latest (NULL); row-level security keeps it to the tenant of the transaction.
SELECT name, version, content FROM partials WHERE name = $1 AND version = coalesce($2::int, version) ORDER BY version DESC LIMIT 1

-- name: fetch_partials
-- The latest versions of some partials; row-level security keeps them to the tenant of the transaction.
SELECT DISTINCT ON (name) name, version, content FROM partials WHERE name = ANY ($1::text[]) ORDER BY name, version DESC

-- name: fetch_versions
-- Partials in the versions that a template took; row-level security keeps them to the tenant of the transaction.
SELECT name, version, content FROM unnest($1::text[], $2::int[]) AS taken (name, version) JOIN partials USING (name, version)

-- name: list_partials
-- The latest version of each, and when and by whom it was saved; row-level security keeps them to the tenant of the transaction.
SELECT DISTINCT ON (name) name, version, created_at, created_by FROM partials ORDER BY name, version DESC

-- name: latest_is
-- The latest version's number, and whether it says exactly this. Runs under the tenant's lock.
SELECT version, content = $3::jsonb AS same FROM partials WHERE tenant_id = $1 AND name = $2 ORDER BY version DESC LIMIT 1

-- name: insert_partial
-- The version that was announced.
INSERT INTO partials (tenant_id, name, version, content, created_by) VALUES ($1, $2, $3, $4, $5)
