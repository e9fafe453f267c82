-- name: fetch_keys
-- A tenant's keys, the newest first.
SELECT tenant_id, number, wrapped FROM tenant_keys WHERE tenant_id = $1 ORDER BY number DESC

-- name: add_key
-- Keep a key, unless there is one of its number, or the tenant's keys were destroyed.
INSERT INTO tenant_keys (tenant_id, number, wrapped)
SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM tenant_keys WHERE tenant_id = $1 AND wrapped = '')
ON CONFLICT (tenant_id, number) DO NOTHING
RETURNING true

-- name: replace_key
-- The same key wrapped in another way. Nothing where it is not kept as it was read.
UPDATE tenant_keys SET wrapped = $4 WHERE tenant_id = $1 AND number = $2 AND wrapped = $3 RETURNING true

-- name: page_keys
-- All keys of the next tenants by id, without the marks of destroyed ones.
SELECT tenant_id, number, wrapped FROM tenant_keys
WHERE wrapped <> '' AND tenant_id IN (SELECT DISTINCT tenant_id FROM tenant_keys WHERE tenant_id > $1 AND wrapped <> '' ORDER BY tenant_id LIMIT $2)
ORDER BY tenant_id, number

-- name: retire_keys
-- Keys whose successor is older than so many hours.
WITH gone AS (
    DELETE FROM tenant_keys k USING tenant_keys n
    WHERE k.tenant_id = $1 AND k.wrapped <> '' AND n.tenant_id = $1 AND n.number = k.number + 1 AND n.created_at < now() - make_interval(hours => $2)
    RETURNING k.number
)
SELECT count(*) FROM gone

-- name: destroy_keys
-- The mark first, then all keys go: whoever makes one at the same time meets the mark, or loses what he made.
INSERT INTO tenant_keys (tenant_id, number, wrapped) VALUES ($1, 0, '') ON CONFLICT (tenant_id, number) DO NOTHING

-- name: drop_keys
-- All but the mark.
DELETE FROM tenant_keys WHERE tenant_id = $1 AND number > 0

-- name: find_region_key
-- A key of the region.
SELECT wrapped FROM region_keys WHERE name = $1

-- name: add_region_key
-- Keep it, unless there is one.
INSERT INTO region_keys (name, wrapped) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING

-- name: replace_region_key
-- The same key wrapped in another way.
UPDATE region_keys SET wrapped = $3 WHERE name = $1 AND wrapped = $2 RETURNING true

-- name: count_keys
-- How many keys of whatever kind each master key has wrapped, by its number.
SELECT substr(wrapped, 1, 4) AS number, count(*) AS keys
FROM (SELECT wrapped FROM subject_keys
      UNION ALL SELECT wrapped FROM tenant_keys WHERE wrapped <> ''
      UNION ALL SELECT wrapped FROM region_keys) AS every_key
GROUP BY 1
