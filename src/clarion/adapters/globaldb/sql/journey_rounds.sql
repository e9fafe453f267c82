-- name: open_journeys
-- Journeys of a region's tenants that take users in.
SELECT j.journey_id, j.tenant_id, j.name, j.status, j.live_version, j.created_ms, j.updated_ms
FROM journeys j JOIN tenants t ON t.tenant_id = j.tenant_id
WHERE t.home_region = $1 AND j.status IN ('active', 'paused') AND j.live_version > 0
ORDER BY j.journey_id

-- name: read_cursors
-- How far the rounds of journeys are.
SELECT journey_id, name, at_ms FROM journey_cursors WHERE region = $1 AND journey_id = ANY($2::UUID[])

-- name: save_cursors
-- Cursors of one journey, by name.
INSERT INTO journey_cursors (journey_id, region, name, at_ms)
SELECT $1, $2, t.name, t.at_ms FROM unnest($3::TEXT[], $4::INT8[]) AS t (name, at_ms)
ON CONFLICT (journey_id, region, name) DO UPDATE SET at_ms = excluded.at_ms

-- name: lease_rounds
-- A journey's rounds for one worker, until $4 (UTC ms), unless another has them now ($3).
INSERT INTO journey_cursors AS c (journey_id, region, name, at_ms) VALUES ($1, $2, 'lease', $4)
ON CONFLICT (journey_id, region, name) DO UPDATE SET at_ms = excluded.at_ms WHERE c.at_ms <= $3
RETURNING 1
