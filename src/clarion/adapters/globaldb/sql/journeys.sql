-- name: create_journey
-- A journey; none where the tenant has one of this name.
INSERT INTO journeys (journey_id, tenant_id, name, status, live_version, created_ms, updated_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING journey_id

-- name: add_version
-- One version, for ever.
INSERT INTO journey_versions (journey_id, version, tenant_id, definition, created_ms, created_by, note)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: go_live
-- The next version of a journey, live from now on: its number. $5: only where it gets this one.
UPDATE journeys
SET live_version = 1 + coalesce((SELECT max(v.version) FROM journey_versions v WHERE v.journey_id = journeys.journey_id), 0),
    name = $3, updated_ms = $4
WHERE journey_id = $1 AND tenant_id = $2 AND ($5::INT4 IS NULL OR live_version = $5 - 1)
RETURNING live_version

-- name: find_journey
-- A tenant's journey by its name or id.
SELECT journey_id, tenant_id, name, status, live_version, created_ms, updated_ms
FROM journeys WHERE tenant_id = $1 AND (journey_id = $2 OR name = $3)
ORDER BY journey_id = $2 DESC LIMIT 1

-- name: list_journeys
-- All journeys of a tenant.
SELECT journey_id, tenant_id, name, status, live_version, created_ms, updated_ms
FROM journeys WHERE tenant_id = $1 ORDER BY name

-- name: set_status
-- Pause, resume, drain or stop a journey.
UPDATE journeys SET status = $3, updated_ms = $4 WHERE tenant_id = $1 AND journey_id = $2 RETURNING journey_id

-- name: read_versions
-- Versions by journey and number.
SELECT v.journey_id, v.version, v.definition, v.created_ms, v.created_by, v.note
FROM unnest($1::UUID[], $2::INT4[]) AS t (journey_id, version)
JOIN journey_versions v ON v.journey_id = t.journey_id AND v.version = t.version

-- name: list_versions
-- The versions of a journey, newest first.
SELECT journey_id, version, '' AS definition, created_ms, created_by, note
FROM journey_versions WHERE tenant_id = $1 AND journey_id = $2 ORDER BY version DESC
